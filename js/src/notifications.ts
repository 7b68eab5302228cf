import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { act, signIn } from './actions';
import { due, type Notice } from './notices';
import { isOpen } from './protocol';
import type { IFederationKernel, IFederationKernels, IPopup, ISettings } from './tokens';

/** Says ahead of the end what will end, once for each kernel and expiry, and takes it back when it is mended. */
export class Notifications {
  constructor(
    private readonly kernels: IFederationKernels,
    private readonly settings: ISettings,
    private readonly popup: IPopup,
    private readonly trans: TranslationBundle
  ) {
    kernels.ticked.connect(this.check, this);
  }

  private check(): void {
    const now = new Set<string>();
    const settled = new Set<string>();
    for (const kernel of this.kernels.all) {
      isOpen(kernel.state) || settled.add(kernel.id);
      const notice = kernel.compatible ? due(kernel, this.settings.composite, this.trans) : null;
      if (notice) {
        now.add(notice.key);
        if (!this.shown.has(notice.key)) {
          this.shown.set(notice.key, this.show(kernel, notice));
        }
      }
    }
    for (const [key, id] of this.shown) {
      if (id !== null && !now.has(key)) {
        Notification.dismiss(id);
        this.shown.set(key, null);
      }
      // Nothing is remembered of a kernel that has gone; and what a sign-in takes away comes back where it fails.
      settled.has(key.split(' ')[0] as string) || this.shown.delete(key);
    }
  }

  private show(kernel: IFederationKernel, notice: Notice): string {
    const actions = {
      'sign-in': {
        label: this.trans.__('Sign in'),
        displayType: 'accent' as const,
        callback: () => {
          void signIn(kernel);
          this.popup.open(kernel);
        }
      },
      refresh: {
        label: this.trans.__('Refresh'),
        callback: () => void act(kernel, { action: 'refresh' })
      },
      clear: {
        label: this.trans.__('Clear AWS session'),
        callback: () => void act(kernel, { action: 'clear', sign_out: false })
      }
    };
    return Notification.emit(`${notice.message} (${kernel.title})`, notice.type, {
      autoClose: false,
      actions: notice.actions.map(action => actions[action])
    });
  }

  /** The notification of each key; null where it was taken back. */
  private readonly shown = new Map<string, string | null>();
}
