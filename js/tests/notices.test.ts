import { describe, expect, it } from 'vitest';
import { due } from '../src/notices';
import { MINUTE, NOW, state, trans } from './states';

const settings = { warnMinutes: 5, notifyMinutes: 10, notifications: true, statusItem: true };
const at = (minutes: number, more: object = {}, running = false, beside: object = {}) =>
  due({ id: 'k1', state: state(minutes, more, beside), now: NOW, running }, settings, trans);

describe('due', () => {
  it('says nothing while the session is renewed', () => {
    expect([at(42), at(4), at(0.5)]).toEqual([null, null, null]);
  });

  it('says at once that the sign-in cannot be renewed, and that a cell is running', () => {
    const notice = at(55, { sign_in: 'needs_you' }, true);
    expect(notice?.message).toBe(
      'The sign-in cannot be renewed; the AWS session ends in 55 minutes and a cell is running: sign in now'
    );
    expect(notice?.actions).toContain('sign-in');
  });

  it('warns ahead of an end that nothing prevents, below the threshold only', () => {
    expect(at(11, { sign_in: 'not_renewable' })).toBeNull();
    expect(at(10, { sign_in: 'not_renewable' })?.message).toContain('Nothing renews');
    const byPerson = at(9, { sign_in: 'not_renewable', interactive: true });
    expect(byPerson?.message).toContain('sign in now');
    expect(byPerson?.actions).toContain('sign-in');
    expect(at(9, { next_try_at: NOW + MINUTE })?.message).toContain('has failed');
  });

  it('says that the session has expired, by the clock if need be', () => {
    expect(at(-1, { credentials: 'expired' })?.type).toBe('error');
    expect(at(0)?.type).toBe('error');
  });

  it('has one key for a kernel, an expiry and a trouble', () => {
    const needsYou = { sign_in: 'needs_you' };
    expect(at(55, needsYou)?.key).toBe(at(55, needsYou, true)?.key);
    // Each at the same expiry.
    const [soon, kinds] = [9, [needsYou, { sign_in: 'not_renewable' }, { next_try_at: NOW }]];
    const keys = [...kinds, { credentials: 'expired' }].map(more => at(soon, more)?.key);
    expect(new Set(keys).size).toBe(4);
    expect(at(56, needsYou)?.key).not.toBe(at(55, needsYou)?.key);
    const elsewhere = due(
      { id: 'k2', state: state(55, needsYou), now: NOW, running: false },
      settings,
      trans
    );
    expect(elsewhere?.key).not.toBe(at(55, needsYou)?.key);
  });

  it('keeps still where it is told to, nobody is signed in, or a sign-in is open', () => {
    const kernel = { id: 'k1', state: state(-1), now: NOW, running: false };
    expect(due(kernel, { ...settings, notifications: false }, trans)).toBeNull();
    expect(at(-1, { credentials: 'none', credentials_expire_at: null })).toBeNull();
    expect(at(-1, {}, false, { sign_in: { waiting: 'Waiting' } })).toBeNull();
    expect(at(-1, {}, false, { sign_in: { error: 'No.' } })).not.toBeNull();
  });

  it('fits into what JupyterLab shows of a notification', () => {
    for (const more of [
      { sign_in: 'needs_you' },
      { sign_in: 'not_renewable' },
      { next_try_at: NOW },
      { credentials: 'expired' }
    ]) {
      expect(at(9, more, true)?.message.length).toBeLessThanOrEqual(140);
    }
  });
});
