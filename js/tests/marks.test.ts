import { Notification } from '@jupyterlab/apputils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { act } from '../src/actions';
import { fill, own } from '../src/marks';
import { Page, settled } from './page';
import { said, trans } from './states';

/** The kernel's panel of plain widgets, in which `prod` is chosen. */
function panel(page: Page): HTMLElement {
  const box = document.createElement('div');
  box.className = 'jf-panel';
  box.innerHTML = `
    <div class="jf-profile"><select><option>research</option><option selected>prod</option></select></div>
    <button class="jf-action-sign-in">Sign in</button>
    <div class="jf-place-sign-in"></div>`;
  document.body.append(box);
  own(box, () => page.kernel);
  fill(box, page.kernel, trans);
  return box;
}

describe('a click in the panel', () => {
  it('signs in with what is chosen, and with what was there where the chooser is hidden', () => {
    const page = new Page('one');
    page.connection.open(said(42));
    const box = panel(page);
    page.press('sign-in', box);
    (box.querySelector('.jf-profile') as HTMLElement).style.display = 'none';
    page.press('sign-in', box);
    expect(page.connection.acts).toEqual([
      { action: 'sign_in', profile: 'prod' },
      { action: 'sign_in', profile: 'research' }
    ]);
  });

  it('tries again what failed, and not what is chosen', () => {
    const page = new Page('one');
    page.connection.open(said(42, {}, { sign_in: { profile: 'research', error: 'No.' } }));
    page.press('retry', panel(page));
    page.connection.say(said(42, {}, { sign_in: { profile: null, error: 'No.' } }));
    page.press('retry', panel(page));
    expect(page.connection.acts).toEqual([
      { action: 'sign_in', profile: 'research' },
      { action: 'sign_in', profile: null }
    ]);
  });
});

describe('a request', () => {
  const shown = () => Notification.manager.notifications.map(({ message }) => message);
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.useRealTimers();
    Notification.dismiss();
  });

  it('that is not answered says so after five seconds, and as long as it is not', async () => {
    const page = new Page('one');
    page.connection.open(said(42));
    const asked = act(page.kernel, { action: 'refresh' });
    vi.advanceTimersByTime(4900);
    expect(shown()).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(shown()).toEqual(['The kernel does not answer (one)']);
    vi.useRealTimers();
    await page.connection.reply({ ok: true, state: said(42) });
    await asked;
    expect(shown()).toEqual([]);
  });

  it('that is answered in time says nothing, and one that is refused without a reason says that', async () => {
    const page = new Page('one');
    page.connection.open(said(42));
    const asked = act(page.kernel, { action: 'refresh' });
    vi.useRealTimers();
    await page.connection.reply({ ok: true, state: said(42) });
    await asked;
    await settled();
    expect(shown()).toEqual([]);
    const refused = act(page.kernel, { action: 'refresh' });
    await page.connection.reply({ ok: false });
    await refused;
    expect(shown()).toEqual(['The kernel refused']);
  });
});
