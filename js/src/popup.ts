import type { TranslationBundle } from '@jupyterlab/translation';
import { mismatch, needsSignIn, outlook, words } from './countdown';
import { button, countdown, element, fill, own } from './marks';
import { holds } from './protocol';
import type { IFederationKernel, IFederationKernels, IPopup, ISettings } from './tokens';

/** The state in words and the actions, over the status bar; where there is none, in the window's corner. */
export class Popup implements IPopup {
  constructor(
    private readonly kernels: IFederationKernels,
    private readonly settings: ISettings,
    private readonly trans: TranslationBundle,
    private readonly openPanel: () => void
  ) {
    kernels.ticked.connect(this.update, this);
    own(this.node, () => this.kernel);
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', trans.__('AWS session'));
    this.node.tabIndex = -1;
    this.node.addEventListener('keydown', event => {
      if (event.key === 'Escape') {
        this.close();
        this.item?.focus();
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
  /** Whose state it shows, from when it opens until it is closed. */
  private kernel: IFederationKernel | null = null;

  toggle(): void {
    this.node.isConnected ? this.close() : this.open();
  }

  open(kernel = this.kernels.current): void {
    this.kernel = kernel;
    document.body.append(this.node);
    document.addEventListener('pointerdown', this.onPointer, true);
    this.made = '';
    this.update();
    this.kernel?.look(); // its profiles may be others by now
    const furthest = window.innerWidth - this.node.offsetWidth - 8;
    this.node.style.left = `${Math.min(this.item?.getBoundingClientRect().left || furthest, furthest)}px`;
    (
      this.node.querySelector<HTMLElement>('.jf-accept') ??
      this.node.querySelector('button') ??
      this.node
    ).focus();
  }

  private close(): void {
    this.chooser = null;
    this.node.remove();
    document.removeEventListener('pointerdown', this.onPointer, true);
  }

  private readonly onPointer = (event: Event) => {
    const target = event.target as Element;
    if (!this.node.contains(target) && !this.item?.contains(target)) {
      this.close();
    }
  };

  /** What it stands over, and where the focus goes from it. */
  private get item(): HTMLElement | null {
    return document.querySelector('.jf-status-button');
  }

  private update(): void {
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
    const signIn = button('sign-in', trans.__('Sign in'));
    const refresh = button('refresh', trans.__('Refresh'));
    const clear = button('clear', trans.__('Clear AWS session'));
    signIn.classList.toggle('jf-accept', needsSignIn(state, now));
    refresh.disabled = clear.disabled = !holds(state);
    const open = compatible && state.signIn;
    return [
      element('div', 'jf-title', kernel.title),
      element('div', 'jf-heading', words(state, now, this.settings.composite.warnMinutes, trans)),
      element(
        'div',
        'jf-lines',
        line(trans.__('Profile'), status.profile),
        line(trans.__('Who'), status.subject),
        line(trans.__('Account'), status.account_id),
        line(trans.__('Role'), status.role_arn && element('span', 'jf-place-role')),
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
  private made = '';
}
