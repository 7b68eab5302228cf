import type { ConsolePanel } from '@jupyterlab/console';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import type { Reply, Request, State } from './protocol';

/** What has a kernel of its own. */
export type SessionPanel = NotebookPanel | ConsolePanel;

/** A kernel that has loaded `jupyter_federation`. */
export interface IFederationKernel {
  readonly id: string;
  /** The notebook or console that it belongs to, by the name on its tab. */
  readonly title: string;
  readonly state: State;
  /** Epoch milliseconds by the kernel's clock, which the times in `state` are of. */
  readonly now: number;
  /** Whether a cell is running. */
  readonly running: boolean;
  /** Whether it understands our requests. */
  readonly compatible: boolean;
  /** Ask on the control channel, which a running cell does not hold up; rejects when the kernel goes away. */
  request(request: Request): Promise<Reply>;
  /** Have it read its profiles and say its state; the answer comes as a change. */
  look(): void;
}

export interface IFederationKernels {
  /** The kernel of the active notebook or console; null where it has not loaded us. */
  readonly current: IFederationKernel | null;
  /** The active notebook or console, or the one that was active last. */
  readonly currentPanel: SessionPanel | null;
  readonly all: readonly IFederationKernel[];
  /** Something changed: a kernel's state, whether it is there, which one is current. */
  readonly changed: ISignal<IFederationKernels, void>;
  /** With each change, and each second while a kernel is there whose time runs. */
  readonly ticked: ISignal<IFederationKernels, void>;
  /** The kernel of a notebook or console. */
  of(panel: Widget): IFederationKernel | null;
}

export const IFederationKernels = new Token<IFederationKernels>('jupyter-aws-federation:IFederationKernels');

export interface IFederationSettings {
  readonly warnMinutes: number;
  readonly notifyMinutes: number;
  readonly notifications: boolean;
  readonly statusItem: boolean;
}

export interface ISettings {
  readonly composite: IFederationSettings;
  readonly changed: ISignal<ISettings, void>;
}

export const ISettings = new Token<ISettings>('jupyter-aws-federation:ISettings');

/** The little window over the status bar. */
export interface IPopup {
  /** Show a kernel's state, by default that of the one that is current. */
  open(kernel?: IFederationKernel): void;
  toggle(): void;
}

export const IPopup = new Token<IPopup>('jupyter-aws-federation:IPopup');
