import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { afterEach, describe, expect, it, vi } from 'vitest';
import plugins from '../src/index';
import { FederationKernels } from '../src/kernels';
import { Connection, Page, settled } from './page';
import { said } from './states';

const profile = (name: string, number: number) => said(42, { profile: name }, { number });

afterEach(() => vi.restoreAllMocks());

describe('a kernel', () => {
  it('keeps the newer state where the reply overtakes the comm, and where the comm overtakes the reply', async () => {
    const page = new Page('one');
    const { connection } = page;
    connection.open(profile('first', 1));
    const request = page.kernel.request({ action: 'refresh' });
    connection.say(profile('third', 3));
    await connection.reply({ ok: true, state: profile('second', 2) });
    expect((await request).error).toBeNull();
    expect(page.kernel.state.status.profile).toBe('third');
    connection.say(profile('fourth', 4));
    expect(page.kernel.state.status.profile).toBe('fourth');
  });

  it('begins to count anew with another comm, and where none are told', async () => {
    const page = new Page('one');
    page.connection.open(profile('old', 100));
    page.connection.open(profile('new', 1), 'another');
    expect(page.kernel.state.status.profile).toBe('new');
    page.connection.restart();
    expect(page.kernels.all).toEqual([]);
    page.connection.open(said(42, { profile: 'without' }));
    page.connection.say(said(42, { profile: 'without, too' }));
    expect(page.kernel.state.status.profile).toBe('without, too');
    await settled();
  });

  it('is asked in the words of the protocol, on the control channel', async () => {
    const page = new Page('one');
    page.connection.open(said(42));
    void page.kernel.request({ action: 'clear', sign_out: true });
    expect(page.connection.asked).toEqual([{ action: 'clear', sign_out: true }]);
  });

  it('is asked at once after a reload, of which the browser keeps nothing but the comm', async () => {
    const page = new Page('one');
    page.connection.open(said(42, {}, { sign_in: { offer: { code: 'AB-CD' } } }));
    const kept = JSON.stringify(sessionStorage);
    expect(kept).toBe('{"jupyter_federation:one":"comm"}');
    const kernels = new FederationKernels();
    kernels.watch(page.notebooks[0] as NotebookPanel);
    expect([kernels.all.length, page.connection.asked]).toEqual([0, [{ action: 'state' }]]);
    await page.connection.reply({ ok: true, state: said(42) });
    expect(kernels.all[0]?.state.status.profile).toBe('research');
  });

  it.each([
    ['getItem', 'SecurityError'],
    ['setItem', 'QuotaExceededError'],
    ['removeItem', 'SecurityError']
  ] as const)('is shown, and let go, where %s throws a %s', (method, name) => {
    vi.spyOn(Storage.prototype, method).mockImplementation(() => {
      throw new DOMException('', name);
    });
    const page = new Page('one');
    page.connection.open(said(42));
    expect(page.kernel.state.status.profile).toBe('research');
    page.connection.restart();
    expect(page.kernels.all).toEqual([]);
  });

  it.each([
    ['first', 'second'],
    ['second', 'first']
  ])('of two notebooks is called as the one that is left when the %s is closed', (closed, left) => {
    const page = new Page();
    const first = page.show('first', new Connection('shared'));
    const second = page.show('second', new Connection('shared'));
    page.connection.open(said(42));
    (closed === 'first' ? first : second).dispose();
    expect(page.kernels.all.map(({ title }) => title)).toEqual([left]);
  });

  it('of two notebooks is called as the one that keeps it when the other changes to another', () => {
    const page = new Page();
    const goes = page.show('goes', new Connection('shared'));
    const stays = page.show('stays', new Connection('shared'));
    page.connections[1]?.open(said(42));
    const other = new Connection('other');
    goes.change(other);
    other.open(said(42));
    expect(page.kernels.of(goes.panel)?.title).toBe('goes');
    expect(page.kernels.of(stays.panel)?.title).toBe('stays');
  });

  it('says each thing once, though a second view of its notebook has the same connection', () => {
    const page = new Page('one');
    page.show('view', page.connection);
    const heard = vi.fn();
    page.kernels.changed.connect(heard);
    page.connection.open(said(42));
    expect(heard).toHaveBeenCalledTimes(1);
  });
});

describe('notebooks that were open before the extension', () => {
  const activated = (page: Page, currentWidget?: NotebookPanel) => {
    Object.assign(document, { adoptedStyleSheets: [] }); // jsdom has none
    const tracker = {
      forEach: (each: (panel: NotebookPanel) => void) => page.notebooks.forEach(each),
      widgetAdded: new Signal({}),
      currentChanged: new Signal({})
    };
    const plugin = plugins.find(({ id }) => id === 'jupyter-aws-federation:kernels');
    const app = { shell: { currentWidget } } as unknown as JupyterFrontEnd;
    return plugin?.activate(app, tracker, null) as FederationKernels;
  };

  it('have a kernel that is known, without a click on their tab', () => {
    const page = new Page('one');
    const kernels = activated(page);
    page.connection.open(said(42));
    expect(kernels.all.map(({ title }) => title)).toEqual(['one']);
  });

  it('are current where they are in front', () => {
    const page = new Page('one');
    const { panel } = page.show('two', new Connection('other'));
    expect(activated(page, panel).currentPanel).toBe(panel);
  });
});
