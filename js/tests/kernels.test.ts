import type { NotebookPanel } from '@jupyterlab/notebook';
import { describe, expect, it } from 'vitest';
import { FederationKernels } from '../src/kernels';
import { Page, settled } from './page';
import { said } from './states';

const profile = (name: string, number: number) => said(42, { profile: name }, { number });

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
});
