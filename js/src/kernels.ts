import { type Kernel, KernelMessage } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import {
  COMM_TARGET,
  PROTOCOL,
  parseReply,
  parseState,
  REQUEST,
  type Reply,
  type Request,
  type State
} from './protocol';
import type { IFederationKernel, IFederationKernels, SessionPanel } from './tokens';

/**
 * One kernel, by all connections of this page to it.
 *
 * The kernel's comm is read from iopub itself: of several connections only one "handles comms", and which one that is
 * changes when a panel is closed.  sessionStorage holds its id for a reload while a cell runs: then nobody answers but
 * the control channel, on which only a kernel that knows us may be asked.
 */
class FederationKernel implements IFederationKernel {
  constructor(
    readonly id: string,
    private readonly changed: () => void
  ) {
    this.comm = attempt(() => sessionStorage.getItem(this.key));
  }

  title = '';
  running = false;
  readonly connections = new Set<Kernel.IKernelConnection>();

  get state(): State {
    return this.latest as State; // nobody is given a kernel that is not known
  }

  get known(): boolean {
    return this.latest !== null;
  }

  get now(): number {
    return Date.now() + this.skew;
  }

  get compatible(): boolean {
    return this.latest?.protocol === PROTOCOL;
  }

  connect(connection: Kernel.IKernelConnection): void {
    if (this.connections.has(connection)) {
      return; // a new view of a notebook has the connection of the first, whose messages would be heard twice
    }
    this.connections.add(connection);
    // Without a target the connection would close the comm in the kernel.
    connection.registerCommTarget(COMM_TARGET, () => undefined);
    connection.iopubMessage.connect((_, message) => this.onMessage(message));
    connection.statusChanged.connect((_, status) => {
      /restarting|dead/.test(status) && this.forget();
    });
    const attach = () => {
      connection.connectionStatus === 'connected' && this.attach(connection);
    };
    connection.connectionStatusChanged.connect(attach);
    connection.disposed.connect(() => {
      this.connections.delete(connection);
      this.changed();
    });
    attach();
  }

  async request(request: Request): Promise<Reply> {
    const [connection] = this.connections;
    if (!connection) {
      throw new Error('The kernel has gone away');
    }
    const reply = parseReply(await send(connection, request));
    this.take(reply.state);
    return reply;
  }

  look(): void {
    this.request({ action: 'state' }).catch(() => undefined);
  }

  /** A comm that was opened before this page was there; the answer comes when no cell runs. */
  private attach(connection: Kernel.IKernelConnection): void {
    if (this.comm) {
      this.look();
    }
    const before = this.comm;
    connection.requestCommInfo({ target_name: COMM_TARGET }).then(
      reply => {
        const found = reply.content.status === 'ok' ? Object.keys(reply.content.comms)[0] : undefined;
        if (found && this.comm !== found) {
          this.follow(found);
          this.look();
        } else if (!found && this.comm === before) {
          this.forget();
        }
      },
      () => undefined // "Canceled future": the kernel was restarted or changed meanwhile
    );
  }

  private follow(comm: string): void {
    this.comm = comm;
    this.number = 0;
    attempt(() => sessionStorage.setItem(this.key, comm));
  }

  private onMessage(message: KernelMessage.IIOPubMessage): void {
    const type: string = message.header.msg_type;
    const content = message.content as Record<string, unknown>;
    const ours = content.comm_id === this.comm;
    if (type === 'status') {
      const parent = message.parent_header;
      // Our own requests make the kernel say "busy" and "idle" as well.
      if ('msg_type' in parent && parent.msg_type === 'execute_request') {
        this.running = content.execution_state === 'busy';
      }
    } else if (type === 'comm_open' && content.target_name === COMM_TARGET) {
      this.follow(String(content.comm_id));
      this.take(parseState(content.data));
    } else if (type === 'comm_msg' && ours) {
      this.take(parseState(content.data));
    } else if ((type === 'comm_close' && ours) || type === 'shutdown_reply') {
      this.forget(); // the latter is how a restart from another tab shows here
    }
  }

  private take(state: State | null): void {
    if (!state || !this.comm || state.number < this.number) {
      return; // comm and reply come by two sockets, and one may overtake the other
    }
    this.number = state.number;
    this.latest = state;
    this.skew = state.now - Date.now();
    this.changed();
  }

  private forget(): void {
    this.comm = null;
    this.running = false;
    attempt(() => sessionStorage.removeItem(this.key));
    if (this.latest) {
      this.latest = null;
      this.changed();
    }
  }

  private get key(): string {
    return `${COMM_TARGET}:${this.id}`;
  }

  private latest: State | null = null;
  private comm: string | null;
  private number = 0;
  private skew = 0;
}

export class FederationKernels implements IFederationKernels {
  readonly changed: Signal<IFederationKernels, void> = new Signal(this);
  readonly ticked: Signal<IFederationKernels, void> = new Signal(this);

  currentPanel: SessionPanel | null = null;

  get current(): IFederationKernel | null {
    return this.currentPanel && this.of(this.currentPanel);
  }

  get all(): readonly IFederationKernel[] {
    return [...this.kernels.values()].filter(kernel => kernel.known);
  }

  of(panel: Widget): IFederationKernel | null {
    const kernel = this.behind(this.panels.get(panel));
    return kernel?.known ? kernel : null;
  }

  /** Follow the kernels of a notebook or console from now on. */
  watch(panel: SessionPanel): void {
    if (this.panels.has(panel)) {
      return;
    }
    this.panels.set(panel, panel);
    const context = panel.sessionContext;
    context.kernelChanged.connect((_, change) => change.newValue && this.connect(change.newValue, panel));
    panel.title.changed.connect(this.update, this);
    panel.disposed.connect(() => {
      this.panels.delete(panel);
      if (this.currentPanel === panel) {
        this.currentPanel = null;
      }
      this.update();
    });
    if (context.session?.kernel) {
      this.connect(context.session.kernel, panel);
    }
  }

  /** A panel has come to the front; anything but a notebook or console leaves the last one current. */
  activate(widget: Widget | null): void {
    const panel = widget && this.panels.get(widget);
    if (panel && panel !== this.currentPanel) {
      this.currentPanel = panel;
      this.update();
    }
  }

  private behind(panel: SessionPanel | undefined): FederationKernel | undefined {
    return this.kernels.get(panel?.sessionContext.session?.kernel?.id ?? '');
  }

  private connect(connection: Kernel.IKernelConnection, panel: SessionPanel): void {
    let kernel = this.kernels.get(connection.id);
    if (!kernel) {
      kernel = new FederationKernel(connection.id, () => this.update());
      this.kernels.set(connection.id, kernel);
    }
    kernel.connect(connection);
    this.currentPanel ??= panel;
    this.update();
  }

  private update(): void {
    for (const kernel of this.kernels.values()) {
      if (!kernel.connections.size) {
        this.kernels.delete(kernel.id);
      }
    }
    // Each time, because panels share kernels and change them, and one that is disposed has lost its title.
    for (const panel of this.panels.values()) {
      const kernel = this.behind(panel);
      if (kernel) {
        kernel.title = panel.title.label;
      }
    }
    this.changed.emit();
    this.ticked.emit();
    const runs = this.all.some(kernel => kernel.state.status.credentials_expire_at !== null);
    if (runs) {
      this.timer ||= window.setInterval(() => this.ticked.emit(), 1000);
    } else {
      window.clearInterval(this.timer);
      this.timer = 0;
    }
  }

  private readonly kernels = new Map<string, FederationKernel>();
  private readonly panels = new Map<Widget, SessionPanel>();
  private timer = 0; // none
}

/** sessionStorage throws where it is blocked or full: then nothing shows between a reload and the end of the cell. */
function attempt<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null;
  }
}

/** The content of the reply; rejects when the connection goes away first. */
function send(connection: Kernel.IKernelConnection, request: Request): Promise<unknown> {
  const { clientId: session, username } = connection;
  const message = KernelMessage.createMessage<KernelMessage.IDebugRequestMsg>({
    channel: 'control',
    msgType: REQUEST as 'debug_request', // the types are a closed list, Jupyter's own; the channel carries others as well
    session,
    username,
    content: { protocol: PROTOCOL, ...request } as never
  });
  const future = connection.sendControlMessage(message, true, true);
  return new Promise((resolve, reject) => {
    future.onReply = reply => resolve(reply.content);
    future.done.catch(reject); // after `resolve` this changes nothing
  });
}
