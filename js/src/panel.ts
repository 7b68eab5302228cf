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
import { BOX, fill, own } from './marks';
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

/** The id of the panel that a model is of. */
function panelOf(model: IRenderMime.IMimeModel | null | undefined): unknown {
  return (model?.data[MIME_TYPE] as { readonly panel?: unknown } | null | undefined)?.panel;
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
  ) {
    kernels.changed.connect(() => {
      for (const [id, view] of this.views) {
        // A kernel that is restarted has another panel.
        kernels.all.some(({ state }) => state.panel === id) || view.dispose();
      }
    });
  }

  /** What has been shown last of each kernel's panel. */
  readonly models = new WeakMap<IFederationKernel, IRenderMime.IMimeModel>();
  private readonly views = new Map<string | null, Widget>();

  /** Show the panel of the active notebook's kernel; without a message to it where the page has seen the panel. */
  open(): void {
    const home = this.kernels.currentPanel;
    const kernel = this.kernels.current;
    if (!home || !kernel) {
      return;
    }
    const id = kernel.state.panel;
    let view = this.views.get(id);
    if (!view) {
      const content = new PanelView(home);
      view = new MainAreaWidget({ content });
      this.views.set(id, view);
      view.id = `jf-view-${id}`;
      view.title.label = this.trans.__('AWS: %1', kernel.title);
      view.title.closable = true;
      view.disposed.connect(() => this.views.delete(id));
      home.disposed.connect(view.dispose, view); // Lumino lets go of it when the view is disposed
      const seen = this.models.get(kernel);
      const registry = registryOf(home);
      if (seen && panelOf(seen) === id) {
        const renderer = registry.createRenderer(MIME_TYPE);
        content.addWidget(renderer);
        void renderer.renderModel(seen);
      } else {
        const output = new SimplifiedOutputArea({
          model: new OutputAreaModel({ trusted: true }),
          rendermime: registry
        });
        content.addWidget(output);
        SimplifiedOutputArea.execute('%federate panel', output, home.sessionContext).catch(() =>
          view?.dispose()
        );
      }
      this.app.shell.add(view, this.shell ? 'main' : 'down', { mode: 'split-bottom', ref: home.id });
    }
    this.app.shell.activateById(view.id);
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
    private readonly trans: TranslationBundle
  ) {
    super();
    this.addClass('jf-output');
    kernels.ticked.connect(this.render, this);
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
    this.add(this.registry, 'text/html', model);
    await this.render();
  }

  override dispose(): void {
    this.observer.disconnect();
    this.kernels.ticked.disconnect(this.render, this);
    super.dispose();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    void this.render();
  }

  /** The kernel whose panel this is, if it is there. */
  private kernel(): IFederationKernel | null {
    const home = homeOf(this);
    const kernel = home && this.kernels.of(home);
    return kernel?.state.panel && kernel.state.panel === panelOf(this.model) ? kernel : null;
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
      this.live.models.set(kernel, model);
      this.pending = true;
      await home.sessionContext.ready;
      await new Promise(resolve => window.setTimeout(resolve)); // the widget manager has waited for the same
      this.pending = false;
      if (!this.isDisposed && this.model === model && !this.widgetView) {
        this.widgetView = this.add(registryOf(home), WIDGET_VIEW, model);
        own(this.widgetView.node, () => this.kernel());
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
    if (kernel && this.widgetView) {
      for (const box of this.widgetView.node.querySelectorAll(BOX)) {
        fill(box, kernel, this.trans);
      }
    }
  }

  private model: IRenderMime.IMimeModel | null = null;
  private widgetView: Widget | null = null;
  private pending = false;
  private readonly observer: MutationObserver;
}
