/** A page without JupyterLab: kernels behind a connection whose every word the test says. */
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { vi } from 'vitest';
import { FederationKernels } from '../src/kernels';
import { listen } from '../src/marks';
import { Popup } from '../src/popup';
import type { Request } from '../src/protocol';
import { Settings } from '../src/settings';
import type { IFederationKernel } from '../src/tokens';
import { trans } from './states';

interface Future {
  onReply: (reply: unknown) => void;
  readonly done: Promise<void>;
}

/** A connection to a kernel: what was asked of it, and what it says. */
export class Connection {
  readonly iopubMessage = new Signal<this, unknown>(this);
  readonly statusChanged = new Signal<this, Kernel.Status>(this);
  readonly connectionStatusChanged = new Signal<this, Kernel.ConnectionStatus>(this);
  readonly disposed = new Signal<this, void>(this);
  readonly status: Kernel.Status = 'idle';
  readonly connectionStatus: Kernel.ConnectionStatus = 'connected';
  readonly clientId = 'client';
  readonly username = 'ada';
  readonly isDisposed = false;
  readonly asked: Request[] = [];

  constructor(readonly id: string) {}

  registerCommTarget(): void {}

  async requestCommInfo(): Promise<unknown> {
    return { content: { status: 'ok', comms: this.comm ? { [this.comm]: {} } : {} } };
  }

  sendControlMessage({ content }: { content: Request }): Future {
    const { protocol: _, ...request } = content as Request & { protocol: number };
    this.asked.push(request);
    this.future = { onReply: () => undefined, done: Promise.resolve() };
    return this.future;
  }

  /** Answer what was asked last. */
  reply(content: object): Promise<void> {
    this.future?.onReply({ content });
    return settled();
  }

  /** By iopub: the comm's first state, or another. */
  open(state: object, comm = 'comm'): void {
    this.comm = comm;
    this.hear('comm_open', { comm_id: comm, target_name: 'jupyter_federation', data: state });
  }

  say(state: object): void {
    this.hear('comm_msg', { comm_id: this.comm, data: state });
  }

  restart(): void {
    this.comm = null;
    this.statusChanged.emit('restarting');
  }

  /** What was asked, but for the looks. */
  get acts(): Request[] {
    return this.asked.filter(({ action }) => action !== 'state');
  }

  private hear(type: string, content: object): void {
    this.iopubMessage.emit({ header: { msg_type: type }, parent_header: {}, content });
  }

  private comm: string | null = null;
  private future: Future | null = null;
}

/** What has been answered is taken up. */
export async function settled(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve));
}

/** A notebook's panel, as far as it matters to its kernel. */
class Notebook {
  readonly title;
  readonly disposed = new Signal<this, void>(this);
  readonly sessionContext;

  constructor(
    readonly id: string,
    kernel: Connection
  ) {
    this.title = { label: id, changed: new Signal({}) };
    this.sessionContext = {
      session: { kernel },
      kernelChanged: new Signal<object, { newValue: Connection }>({}),
      ready: Promise.resolve()
    };
  }

  get panel(): NotebookPanel {
    return this as unknown as NotebookPanel;
  }

  /** As a widget does, which has no title afterwards. */
  dispose(): void {
    this.disposed.emit();
    this.title.label = '';
    this.sessionContext.session.kernel.disposed.emit();
  }

  change(newValue: Connection): void {
    const { session, kernelChanged } = this.sessionContext;
    session.kernel.disposed.emit();
    session.kernel = newValue;
    kernelChanged.emit({ newValue });
  }
}

/** Some notebooks, the first of which is active, with their kernels; the popup; and a person who clicks. */
export class Page {
  readonly kernels = new FederationKernels();
  readonly popup = new Popup(this.kernels, new Settings(), trans, () => undefined);
  readonly connections: Connection[] = [];
  readonly notebooks: NotebookPanel[] = [];

  constructor(...names: string[]) {
    Element.prototype.getClientRects = function (this: Element) {
      const hidden = this.closest('[style*="display: none"]') || !this.isConnected;
      return (hidden ? [] : [{}]) as unknown as DOMRectList;
    };
    document.body.replaceChildren();
    sessionStorage.clear();
    for (const name of names) {
      this.show(name, new Connection(name));
    }
    const listening = vi.spyOn(document, 'addEventListener');
    listen(trans);
    const heard = listening.mock.calls.find(([type]) => type === 'click')?.[1];
    listening.mockRestore();
    this.clicked = heard as (event: object) => void;
  }

  /** Another notebook, whose kernel may be there already. */
  show(name: string, connection: Connection): Notebook {
    const notebook = new Notebook(name, connection);
    this.connections.push(connection);
    this.notebooks.push(notebook.panel);
    this.kernels.watch(notebook.panel);
    return notebook;
  }

  get connection(): Connection {
    return this.connections[0] as Connection;
  }

  get kernel(): IFederationKernel {
    return this.kernels.all[0] as IFederationKernel;
  }

  get box(): HTMLElement {
    return document.querySelector('.jf-popup') as HTMLElement;
  }

  get chooser(): HTMLSelectElement | null {
    return this.box.querySelector('select');
  }

  /** Click as a person does, whose events alone are trusted. */
  press(action: string, box: Element = this.box): void {
    const target = box.querySelector(`.jf-action-${action}`);
    if (!target) {
      throw new Error(`There is no ${action} in ${box.textContent}`);
    }
    this.clicked({
      isTrusted: true,
      target,
      preventDefault: () => undefined,
      stopPropagation: () => undefined
    });
  }

  private readonly clicked: (event: object) => void;
}
