import type { ILabShell, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import { ConsolePanel } from '@jupyterlab/console';
import { NotebookPanel } from '@jupyterlab/notebook';
import { OutputAreaModel, SimplifiedOutputArea } from '@jupyterlab/outputarea';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Panel, type Widget } from '@lumino/widgets';
import type { IFederationKernel, IFederationKernels, SessionPanel } from './tokens';

export const MIME_TYPE = 'application/vnd.jupyter-federation.panel+json';
const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';

/** A view of a panel that stands beside its notebook. */
export class PanelView extends Panel {
  constructor(readonly home: SessionPanel) {
    super();
    this.addClass('jf-view');
  }
}

/** The notebook or console in whose output a widget is shown. */
function homeOf(widget: Widget): SessionPanel | null {
  for (let at = widget.parent; at; at = at.parent) {
    if (at instanceof NotebookPanel || at instanceof ConsolePanel) {
      return at;
    }
    if (at instanceof PanelView) {
      return at.home;
    }
  }
  return null;
}

function registryOf(home: SessionPanel): IRenderMimeRegistry {
  return home instanceof NotebookPanel ? home.content.rendermime : home.console.rendermime;
}

/** Opens panels beside their notebooks. */
export class LivePanels {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly shell: ILabShell | null,
    private readonly kernels: IFederationKernels,
    private readonly trans: TranslationBundle
  ) {}

  /** What has been shown of each panel, by its id. */
  readonly models = new Map<string, IRenderMime.IMimeModel>();

  /** Show the panel of the active notebook's kernel; without a message to it where the page has seen the panel. */
  async open(): Promise<void> {
    const home = this.kernels.currentPanel;
    const kernel = this.kernels.current;
    if (!home || !kernel) {
      return;
    }
    const id = `jf-view-${kernel.id}`;
    if (![...this.app.shell.widgets(this.shell ? 'main' : 'down')].some(widget => widget.id === id)) {
      const content = new PanelView(home);
      const view = new MainAreaWidget({ content });
      view.id = id;
      view.title.label = this.trans.__('AWS: %1', kernel.title);
      view.title.closable = true;
      home.disposed.connect(() => view.dispose());
      const seen = this.models.get(kernel.state.panel ?? '');
      const registry = registryOf(home);
      if (seen) {
        const renderer = registry.createRenderer(MIME_TYPE);
        content.addWidget(renderer);
        await renderer.renderModel(seen);
      } else {
        const output = new SimplifiedOutputArea({
          model: new OutputAreaModel({ trusted: true }),
          rendermime: registry
        });
        content.addWidget(output);
        SimplifiedOutputArea.execute('%federate panel', output, home.sessionContext).catch(() =>
          view.dispose()
        );
      }
      this.app.shell.add(view, this.shell ? 'main' : 'down', { mode: 'split-bottom', ref: home.id });
    }
    this.app.shell.activateById(id);
  }
}

/**
 * What `%federate` shows: the live panel while its kernel is there, and the saved HTML otherwise.
 *
 * A saved widget view without its kernel would read "model not found".
 */
export class PanelRenderer extends Panel implements IRenderMime.IRenderer {
  constructor(
    private readonly kernels: IFederationKernels,
    private readonly registry: IRenderMimeRegistry,
    private readonly live: LivePanels,
    private readonly upgrade: (box: Element, kernel: IFederationKernel) => void
  ) {
    super();
    this.addClass('jf-output');
    kernels.changed.connect(this.show_, this);
    // The kernel writes its markup anew at each event: fill it in before it is painted.
    this.observer = new MutationObserver(() => this.fill());
    this.observer.observe(this.node, {
      subtree: true,
      childList: true,
      characterData: true,
      attributeFilter: ['disabled', 'style'] // of buttons, which may have the focus
    });
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.model = model;
    for (const old of [...this.widgets]) {
      old.dispose();
    }
    this.widgetView = null;
    const saved = ['text/html', 'text/plain'].find(type => type in model.data);
    if (saved) {
      this.add(this.registry, saved, model);
    }
    await this.render();
  }

  override dispose(): void {
    this.observer.disconnect();
    this.kernels.changed.disconnect(this.show_, this);
    super.dispose();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.show_();
  }

  private show_(): void {
    void this.render();
  }

  /** The kernel whose panel this is, if it is there. */
  private kernel(): IFederationKernel | null {
    const home = homeOf(this);
    const kernel = home && this.kernels.of(home);
    const content = this.model?.data[MIME_TYPE];
    const id = typeof content === 'object' && content && 'panel' in content ? content.panel : null;
    return kernel && id && kernel.state.panel === id ? kernel : null;
  }

  /** Add the live view, or take it away; the stylesheet hides the saved HTML once the live panel is in place. */
  private async render(): Promise<void> {
    const { model } = this;
    const kernel = this.kernel();
    const home = homeOf(this);
    if (!kernel) {
      this.widgetView?.dispose();
      this.widgetView = null;
    } else if (home && model && !this.widgetView && !this.pending && WIDGET_VIEW in model.data) {
      this.live.models.set(kernel.state.panel ?? '', model);
      this.pending = true;
      await home.sessionContext.ready;
      await new Promise(resolve => window.setTimeout(resolve)); // the widget manager has waited for the same
      this.pending = false;
      if (!this.isDisposed && this.model === model && !this.widgetView) {
        this.widgetView = this.add(registryOf(home), WIDGET_VIEW, model);
      }
    }
    this.fill();
  }

  private add(registry: IRenderMimeRegistry, type: string, model: IRenderMime.IMimeModel): Widget {
    const renderer = registry.createRenderer(type);
    renderer.addClass(type === WIDGET_VIEW ? 'jf-live' : 'jf-saved-view');
    this.addWidget(renderer);
    void renderer.renderModel(model);
    return renderer;
  }

  private fill(): void {
    const kernel = this.kernel();
    if (kernel) {
      for (const box of this.node.querySelectorAll('.jf-panel')) {
        this.upgrade(box, kernel);
      }
    }
  }

  private model: IRenderMime.IMimeModel | null = null;
  private widgetView: Widget | null = null;
  private pending = false;
  private readonly observer: MutationObserver;
}
