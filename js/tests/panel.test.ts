import type { JupyterFrontEnd } from '@jupyterlab/application';
import { RenderMimeRegistry, standardRendererFactories } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';
import { expect, it } from 'vitest';
import { LivePanels, MIME_TYPE, PanelRenderer } from '../src/panel';
import { Page, settled } from './page';
import { said, trans } from './states';

const VIEW = 'application/vnd.jupyter.widget-view+json';

/** Where the widgets would be: a box with their marks. */
class View extends Widget implements IRenderMime.IRenderer {
  async renderModel(): Promise<void> {
    this.node.innerHTML = '<div class="jf-panel"><span class="jf-place-subject">whoami tells</span></div>';
  }
}

/** The panels beside a page's first notebook, whose kernel's panel the page has seen. */
async function beside(
  page: Page
): Promise<{ live: LivePanels; views: () => Widget[]; see: () => Promise<void> }> {
  const registry = new RenderMimeRegistry({ initialFactories: standardRendererFactories });
  const added: Widget[] = [];
  const shell = {
    add: (widget: Widget) => {
      added.push(widget);
      Widget.attach(widget, document.body);
    },
    activateById: () => undefined,
    widgets: () => added
  };
  const live = new LivePanels({ shell } as unknown as JupyterFrontEnd, shell as never, page.kernels, trans);
  registry.addFactory({
    safe: false,
    mimeTypes: [MIME_TYPE],
    createRenderer: () => new PanelRenderer(page.kernels, registry, live, trans)
  });
  registry.addFactory({ safe: false, mimeTypes: [VIEW], createRenderer: () => new View() });
  Object.assign(page.notebooks[0] as object, { console: { rendermime: registry } });
  const see = async () => {
    const id = page.kernel.state.panel;
    const data = { [MIME_TYPE]: { panel: id }, [VIEW]: {}, 'text/html': 'as saved' };
    live.models.set(page.kernel, registry.createModel({ data }));
    await settled();
  };
  return { live, see, views: () => added.filter(each => !each.isDisposed) };
}

it('a panel beside its notebook is filled in, is one however often it is opened, and goes with its kernel', async () => {
  const page = new Page('one');
  page.connection.open(said(42, {}, { panel: 'first' }));
  const { live, see, views } = await beside(page);
  await see();
  live.open();
  live.open();
  await settled();
  await settled();
  expect(views().map(({ id }) => id)).toEqual(['jf-view-first']);
  expect(document.querySelector('.jf-view .jf-panel')?.textContent).toBe('ada@example.org');

  page.connection.restart();
  expect(views()).toEqual([]);
  page.connection.open(said(42, { subject: 'bob@example.org' }, { panel: 'second' }), 'another');
  await see();
  live.open();
  await settled();
  await settled();
  expect(views().map(({ id }) => id)).toEqual(['jf-view-second']);
  expect(document.querySelector('.jf-view .jf-panel')?.textContent).toBe('bob@example.org');

  views()[0]?.dispose();
  live.open();
  expect(views().length).toBe(1);
}, 30_000); // JupyterLab's own widgets take long to be made where others work as well
