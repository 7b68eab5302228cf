import { describe, expect, it } from 'vitest';
import { Page } from './page';
import { MINUTE, NOW, said } from './states';

const OFFER = { issuer: 'https://login.example.org', steps: [], address: 'https://login.example.org/device' };
const nobody = { credentials: 'none', sign_in: 'none', is_federated: false, profile: null };

/** A page whose popup is open, over a kernel in this state. */
function opened(more: object = {}, beside: object = {}): Page {
  const page = new Page('one');
  page.connection.open(said(42, more, beside));
  page.popup.open();
  return page;
}

describe('the chooser', () => {
  it('comes after %load_ext, whose first state knows no profiles: whoever opens the popup has them read', () => {
    const page = opened(nobody, { profiles: [] });
    expect(page.chooser).toBeNull();
    expect(page.connection.asked).toContainEqual({ action: 'state' });
    page.connection.say(said(42, nobody));
    expect(page.chooser?.options.length).toBe(2);
  });

  it('keeps what was chosen while it is the same choice', () => {
    const page = opened({ last_error: 'One.' });
    const choose = (profile: string) => {
      (page.chooser as HTMLSelectElement).value = profile;
    };
    choose('prod');
    page.connection.say(said(42, { last_error: 'Another.' }));
    expect(page.box.textContent).toContain('Another.');
    expect(page.chooser?.value).toBe('prod');
    const shown = page.chooser;
    page.connection.say(said(42, { last_error: 'Another.' }));
    expect(page.chooser).toBe(shown); // where nothing else is said, nothing is written anew
    page.press('sign-in');
    page.connection.say(said(42, {}, { sign_in: { offer: OFFER } }));
    expect(page.chooser).toBeNull();
    page.connection.say(said(42));
    expect(page.chooser?.value).toBe('prod');
    expect(page.connection.acts).toEqual([{ action: 'sign_in', profile: 'prod' }]);
    page.connection.say(said(42, { profile: 'third' }, { profiles: ['research', 'third'] }));
    expect(page.chooser?.value).toBe('third');
  });

  it('has a sign-in without a profile repeated as it came', () => {
    const page = opened({ profile: null });
    expect(page.chooser?.value).toBe('(no profile)');
    page.press('sign-in');
    expect(page.connection.acts).toEqual([{ action: 'sign_in', profile: null }]);
  });

  it('is not asked where it is hidden', () => {
    const page = opened({ profile: 'gone' });
    const chooser = page.chooser as HTMLSelectElement;
    chooser.value = 'prod';
    chooser.style.display = 'none';
    page.press('sign-in');
    expect(page.connection.acts).toEqual([{ action: 'sign_in', profile: null }]);
  });
});

describe('the popup', () => {
  it('shows the kernel that it was opened for until it is closed', () => {
    const page = new Page('one', 'two');
    for (const connection of page.connections) {
      connection.open(said(42, { subject: `of ${connection.id}` }, { panel: connection.id }));
    }
    const [one, two] = page.kernels.all;
    page.popup.open(two);
    expect(page.box.textContent).toContain('of two');
    page.connection.say(said(41, { subject: 'of one' }, { panel: 'one' }));
    expect(page.box.textContent).toContain('of two');
    page.press('refresh');
    expect(page.connections.map(({ acts }) => acts.length)).toEqual([0, 1]);
    page.popup.toggle();
    page.popup.open();
    expect(page.box.textContent).toContain('of one');
    page.popup.open(two);
    page.connections[1]?.restart();
    expect(page.box).toBeNull();
    expect(page.kernels.all).toEqual([one]);
  });

  it('gives the focus to the link of the sign-in that a click has begun', () => {
    const page = opened(nobody);
    const signIn = page.box.querySelector<HTMLElement>('.jf-action-sign-in');
    signIn?.focus();
    page.press('sign-in');
    page.connection.say(said(42, nobody, { sign_in: { offer: OFFER } }));
    expect(document.activeElement?.textContent).toBe('Open the sign-in page');
  });

  it('gives the focus from that link to Sign in when the sign-in is over', () => {
    const page = opened(nobody, { sign_in: { offer: OFFER } });
    expect(document.activeElement?.textContent).toBe('Open the sign-in page');
    page.connection.say(said(42, nobody));
    expect(document.activeElement?.textContent).toBe('Sign in');
  });

  it('shows until when the code is good', () => {
    const page = opened({}, { sign_in: { offer: { ...OFFER, code: 'AB-CD', until: NOW + 9.5 * MINUTE } } });
    expect(page.box.querySelector('.jf-place-sign-in time')?.textContent).toContain('(9:30 left)');
  });

  it('leaves the button in place that is being pressed when the offer says something else', () => {
    const page = opened({}, { sign_in: { offer: { ...OFFER, steps: ['A window opens.'] } } });
    const cancel = page.box.querySelector('.jf-action-cancel');
    page.connection.say(said(42, {}, { sign_in: { offer: { ...OFFER, steps: ['None could be opened.'] } } }));
    expect(page.box.querySelector('.jf-step')?.textContent).toBe('None could be opened.');
    expect(page.box.querySelector('.jf-action-cancel')).toBe(cancel);
  });

  it('keeps what the offer was made of out of the page', () => {
    const page = opened(
      {},
      { sign_in: { offer: { ...OFFER, steps: ['Open it.'] }, waiting: 'Waiting: 1 s' } }
    );
    const line = page.box.querySelector('.jf-step');
    page.connection.say(
      said(42, {}, { sign_in: { offer: { ...OFFER, steps: ['Open it.'] }, waiting: 'Waiting: 2 s' } })
    );
    expect(page.box.querySelector('.jf-step')).toBe(line);
    expect(page.box.querySelector('.jf-waiting')?.textContent).toBe('Waiting: 2 s');
    expect(page.box.innerHTML).not.toContain('data-');
  });
});
