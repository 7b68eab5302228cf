import type { TranslationBundle } from '@jupyterlab/translation';
import { mismatch, needsSignIn, outlook, words } from './countdown';
import { button, countdown, element, fill, own } from './marks';
import type { IFederationKernel, IFederationKernels, IPopup, ISettings } from './tokens';

/** The state in words and the actions, over the status bar; where there is none, in the window's corner. */
export class Popup implements IPopup {
  constructor(
    private readonly kernels: IFederationKernels,
    private readonly settings: ISettings,
    private readonly trans: TranslationBundle,
    private readonly openPanel: () => void
  ) {
    kernels.changed.connect(this.update, this);
    kernels.ticked.connect(this.update, this);
    own(this.node, () => this.kernel);
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', trans.__('AWS session'));
    this.node.tabIndex = -1;
    this.node.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        this.close();
        this.anchor?.focus();
      }
    });
    this.node.addEventListener('click', event => {
      if ((event.target as Element).closest('.jf-action-open-panel')) {
        this.close();
        this.openPanel();
      }
    });
  }

  private readonly node = element('div', 'jf-panel jf-popup');
  /** Whose state the popup shows. */
  private kernel: IFederationKernel | null = null;

  toggle(anchor: HTMLElement): void {
    if (this.node.isConnected) {
      this.close();
    } else {
      this.anchor = anchor;
      this.open();
    }
  }

  open(kernel: IFederationKernel | null = null): void {
    this.asked = kernel;
    document.body.append(this.node);
    document.addEventListener('pointerdown', this.onPointer, true);
    this.made = '';
    this.update();
    this.kernel?.look(); // its profiles may be others by now
    const right = this.anchor?.isConnected
      ? window.innerWidth - this.anchor.getBoundingClientRect().right
      : 8;
    // As far to the right as the item, and never over the window's left edge.
    const furthest = window.innerWidth - this.node.offsetWidth - 8;
    this.node.style.right = `${Math.max(8, Math.min(right, furthest))}px`;
    (this.node.querySelector<HTMLElement>('a, button:enabled') ?? this.node).focus();
  }

  private close(): void {
    this.asked = this.chooser = null;
    this.node.remove();
    document.removeEventListener('pointerdown', this.onPointer, true);
  }

  private readonly onPointer = (event: Event) => {
    const target = event.target as Element;
    if (!this.node.contains(target) && !this.anchor?.contains(target)) {
      this.close();
    }
  };

  private update(): void {
    this.kernel = this.asked ?? this.kernels.current;
    if (!this.node.isConnected) {
      return;
    }
    if (!this.kernel || !this.kernels.all.includes(this.kernel)) {
      this.close();
      return;
    }
    const content = this.content(this.kernel);
    // Written anew only when it says something else: what has the focus keeps it.
    const made = content.map(line => line.outerHTML).join('');
    if (made !== this.made) {
      this.made = made;
      this.node.replaceChildren(...content);
      const chooser = this.node.querySelector('select');
      if (chooser) {
        if (chooser.outerHTML === this.chooser?.outerHTML) {
          chooser.value = this.chooser.value; // what was chosen stays while it is the same choice
        }
        this.chooser = chooser;
      }
    }
    fill(this.node, this.kernel, this.trans);
  }

  private content(kernel: IFederationKernel): HTMLElement[] {
    const { trans } = this;
    const { state, now, compatible } = kernel;
    const { status } = state;
    const line = (name: string, value: Node | string | null) =>
      value && element('div', 'jf-line', element('span', 'jf-name', name), value);
    const note = (text: string | null) => text && element('div', 'jf-note', text);
    const place = (name: string, value: string | null) => value && element('span', `jf-place-${name}`);
    const signIn = button('sign-in', trans.__('Sign in'), ...(needsSignIn(state, now) ? ['jf-accept'] : []));
    const refresh = button('refresh', trans.__('Refresh'));
    const clear = button('clear', trans.__('Clear AWS session'), 'jf-warn');
    refresh.disabled = !status.is_federated;
    clear.disabled = !status.is_federated && !status.beside.length;
    const open = compatible && state.signIn;
    return [
      element('div', 'jf-title', kernel.title),
      element('div', 'jf-heading', words(state, now, this.settings.composite.warnMinutes, trans)),
      element(
        'div',
        'jf-lines',
        line(trans.__('Profile'), status.profile),
        line(trans.__('Who'), place('subject', status.subject)),
        line(trans.__('Account'), place('account', status.account_id)),
        line(trans.__('Role'), place('role', status.role_arn)),
        line(trans.__('Credentials'), countdown(status.credentials_expire_at)),
        line(
          trans.__('Sign-in'),
          status.sign_in === 'not_renewable' ? countdown(status.sign_in_expires_at) : null
        )
      ),
      note(outlook(state, now, trans)),
      note(status.last_error),
      note(mismatch(state, trans)),
      element('div', 'jf-place-sign-in'),
      compatible &&
        element(
          'div',
          'jf-buttons',
          !open && this.choice(kernel),
          !open && signIn,
          refresh,
          clear,
          button('open-panel', trans.__('Open panel'))
        )
    ].filter(made => !!made);
  }

  /** The chooser, where there is something to choose. */
  private choice({ id, state: { status, profiles } }: IFederationKernel): HTMLElement | false {
    // Without a profile, the first choice repeats the sign-in as it came.
    const choice = [
      ...(status.is_federated && !status.profile ? [this.trans.__('(no profile)')] : []),
      ...profiles
    ];
    const chooser = element('select', 'jf-button jf-profile');
    chooser.name = id;
    chooser.setAttribute('aria-label', this.trans.__('Federation profile'));
    for (const each of choice) {
      chooser.append(new Option(each, each, each === status.profile, each === status.profile));
    }
    return choice.length > 1 && chooser;
  }

  /** The one that was shown last. */
  private chooser: HTMLSelectElement | null = null;
  private anchor: HTMLElement | null = null;
  /** Whose state was asked for. */
  private asked: IFederationKernel | null = null;
  private made = '';
}
