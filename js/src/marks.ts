/**
 * The marks in a panel's markup, as docs/decisions/0011-front-end.md lists them.
 *
 * The panel is the kernel's, made of plain widgets; here its times begin to tick, its places are filled in, and a click
 * goes by the control channel.  The popup over the status bar is made of the same marks.
 */
import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { act, answer, signIn } from './actions';
import { until } from './countdown';
import { roleName, type SignIn } from './protocol';
import type { IFederationKernel } from './tokens';

export const BOX = '.jf-panel';

/** The nodes that this page itself has made for a panel, and whose panel that is now. */
const ours = new WeakMap<Element, () => IFederationKernel | null>();

/**
 * Let clicks in `node` act on `kernel`.
 *
 * The nodes alone tell what is a panel: any notebook may hold its marks, and saved ones its id.
 */
export function own(node: Element, kernel: () => IFederationKernel | null): void {
  ours.set(node, kernel);
}

function kernelOf(node: Element): IFederationKernel | null {
  for (let at: Element | null = node; at; at = at.parentElement) {
    const kernel = ours.get(at);
    if (kernel) {
      return kernel();
    }
  }
  return null;
}

/** An element with classes and text; children may be absent. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string | null | false | undefined)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children.filter((child): child is Node | string => !!child));
  return made;
}

export function button(action: string, text: string): HTMLButtonElement {
  return element('button', `jf-button jf-action-${action}`, text);
}

export function countdown(until: number | null): HTMLElement | null {
  if (until === null) {
    return null;
  }
  const time = element('time', 'jf-countdown');
  time.dateTime = new Date(until).toISOString();
  time.setAttribute('role', 'timer'); // which is not read out when it changes
  return time;
}

/** A screen reader announces what is written, so the same text is not written again. */
export function write(node: Element, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** What stood in a place: it stands there again when nobody is signed in. */
const originals = new WeakMap<Element, string>();

/** Bring the places and times of a box up to date; what is right already is not touched. */
export function fill(box: Element, kernel: IFederationKernel, trans: TranslationBundle): void {
  box.classList.add('jf-upgraded');
  for (const place of box.querySelectorAll<HTMLElement>('.jf-place-sign-in')) {
    fillSignIn(place, kernel.compatible ? kernel.state.signIn : null, trans);
  }
  for (const time of box.querySelectorAll<HTMLTimeElement>('time.jf-countdown')) {
    write(time, until(Date.parse(time.dateTime), kernel.now, trans));
  }
  const { subject, account_id, role_arn, region, identity_id, access_key_suffix } = kernel.state.status;
  const places = {
    subject,
    account: account_id,
    role: role_arn && roleName(role_arn),
    region,
    identity: identity_id,
    key: access_key_suffix && trans.__('key …%1', access_key_suffix)
  };
  for (const [name, value] of Object.entries(places)) {
    for (const place of box.querySelectorAll<HTMLElement>(`.jf-place-${name}`)) {
      const before = originals.get(place) ?? place.textContent ?? '';
      originals.set(place, before);
      write(place, value ?? before);
      place.title = (name === 'role' && role_arn) || '';
    }
  }
  keepFocus(box);
}

/** What a person last put the focus on, where that is in a box; `at` is what has it instead meanwhile. */
let held: { readonly box: Element; readonly mark: string; readonly at: Element } | null = null;

/**
 * Where what had the focus is hidden, disabled or written anew, give it to the same action, or to what comes next.
 *
 * Otherwise it would be lost to the page, and who uses the keyboard would begin from its top.
 */
function keepFocus(box: Element): void {
  const was = held;
  if (
    was?.box === box &&
    !usable(was.at) &&
    [document.body, box, was.at].includes(document.activeElement ?? box)
  ) {
    const next = [was.mark, '.jf-accept', '.jf-place-sign-in button', '.jf-action-sign-in']
      .flatMap(selector => [...box.querySelectorAll<HTMLElement>(selector)])
      .find(usable);
    (next ?? (box as HTMLElement)).focus();
    held = { ...was, at: next ?? was.at };
  }
}

/** What a person uses has the focus, also where it had come to it by itself. */
function hold(at: Element): void {
  const box = at.closest(BOX);
  const action = actionOf(at);
  held = box && {
    box,
    at,
    mark: action ? `.jf-action-${action}` : at.localName === 'select' ? 'select' : '.jf-accept'
  };
}

function usable(node: Element): boolean {
  return !node.matches(':disabled') && node.getClientRects().length > 0;
}

/** The offer that each place shows. */
const offers = new WeakMap<Element, string>();

/**
 * The offer of an open sign-in; only its line about waiting changes while it stands.
 *
 * Where it comes to say something else, what stays the same stays in place: a button that is taken away between the
 * pressing of a key, or of the mouse, and its release is not clicked.
 */
function fillSignIn(place: HTMLElement, open: SignIn | null, trans: TranslationBundle): void {
  const made = JSON.stringify(open && { ...open, waiting: null });
  if (offers.get(place) !== made) {
    offers.set(place, made);
    const before = [...place.children];
    for (const line of open ? signInLines(open, trans) : []) {
      const old = before.shift();
      old?.outerHTML === line.outerHTML || (old ? old.replaceWith(line) : place.append(line));
    }
    for (const old of before) {
      old.remove();
    }
  }
  const waiting = place.querySelector('.jf-waiting');
  waiting && write(waiting, open?.waiting ?? (open?.offer ? '' : trans.__('The sign-in begins …')));
}

function signInLines(open: SignIn, trans: TranslationBundle): HTMLElement[] {
  if (open.error !== null) {
    return [
      element('div', 'jf-error', open.error),
      element(
        'div',
        'jf-buttons',
        button('retry', trans.__('Try again')),
        button('cancel', trans.__('Dismiss'))
      )
    ];
  }
  const { offer, question } = open;
  const end = countdown(offer?.until ?? null);
  return [
    offer && element('div', 'jf-heading', trans.__('Sign in at %1', offer.issuer)),
    ...(offer?.steps ?? []).map(step => element('div', 'jf-step', step)),
    offer?.code &&
      element(
        'div',
        'jf-code',
        trans.__('Code'),
        ' ',
        element('code', '', offer.code),
        ' ',
        button('copy', trans.__('Copy the code'))
      ),
    end && element('div', '', trans.__('Until'), ' ', end),
    element(
      'div',
      'jf-buttons',
      offer?.address &&
        Object.assign(element('a', 'jf-button jf-accept', trans.__('Open the sign-in page')), {
          href: offer.address,
          target: '_blank',
          rel: 'noreferrer' // and so no opener
        }),
      question && button('answer', trans.__('Paste the address…')),
      button('cancel', trans.__('Cancel'))
    ),
    element('div', 'jf-waiting')
  ].filter(made => !!made);
}

/**
 * Let clicks on marked buttons go by the control channel.
 *
 * A running cell would hold a widget's click up to its end.  Only a person's own click in a node that we `own` counts.  A
 * click that cannot be sent is left to the widget.
 */
export function listen(trans: TranslationBundle): void {
  document.addEventListener('focusin', ({ target }) => hold(target as Element));
  // Before JupyterLab, whose notebook takes plain keys for commands: "D" twice on a button would delete its cell.
  window.addEventListener(
    'keydown',
    event => {
      const at = event.target as Element;
      if (kernelOf(at)) {
        at.toggleAttribute('data-lm-suppress-shortcuts', !(event.ctrlKey || event.metaKey || event.altKey));
      }
    },
    true
  );
  document.addEventListener(
    'click',
    event => {
      const pressed = event.isTrusted && (event.target as Element).closest('[class*="jf-action-"]');
      const kernel = pressed ? kernelOf(pressed) : null;
      if (pressed && kernel?.compatible && perform(pressed, kernel, trans)) {
        hold(pressed);
        event.preventDefault();
        event.stopPropagation();
      }
    },
    true
  );
}

/** What an element asks for. */
function actionOf(node: Element): string | undefined {
  return [...node.classList].find(name => name.startsWith('jf-action-'))?.slice(10);
}

/** Do what is asked for; whether there is such a thing. */
function perform(pressed: Element, kernel: IFederationKernel, trans: TranslationBundle): boolean {
  const action = actionOf(pressed) ?? '';
  const { signIn: open } = kernel.state;
  const actions: Record<string, () => unknown> = {
    refresh: () => act(kernel, { action: 'refresh' }),
    cancel: () => act(kernel, { action: 'cancel' }),
    clear: () => act(kernel, { action: 'clear', sign_out: false }),
    'clear-sign-out': () => act(kernel, { action: 'clear', sign_out: true }),
    'sign-in': () => {
      const chooser = pressed.closest(BOX)?.querySelector('select');
      const chosen = chooser && usable(chooser) ? chooser.selectedOptions[0] : null;
      return signIn(kernel, chosen?.text);
    },
    retry: () => act(kernel, { action: 'sign_in', profile: open?.profile ?? null }),
    answer: () => answer(kernel, trans),
    copy: () => {
      Clipboard.copyToSystem(open?.offer?.code ?? '');
      pressed.textContent = trans.__('Copied');
    }
  };
  actions[action]?.();
  return action in actions;
}
