import { Notification } from '@jupyterlab/apputils';
import { afterEach, describe, expect, it } from 'vitest';
import { Notifications } from '../src/notifications';
import { Settings } from '../src/settings';
import { Page } from './page';
import { said, trans } from './states';

const shown = () => Notification.manager.notifications;

/** A page with notifications, on which the second notebook's sign-in needs somebody. */
function needing(): Page {
  const page = new Page('one', 'two');
  new Notifications(page.kernels, new Settings(), page.popup, trans);
  page.connections[0]?.open(said(42, { subject: 'of one' }, { panel: 'one' }));
  page.connections[1]?.open(said(42, needsYou, { panel: 'two' }));
  return page;
}

const needsYou = { sign_in: 'needs_you', subject: 'of two' };

describe('a notification', () => {
  afterEach(() => Notification.dismiss());

  it('opens the popup of the notebook that it speaks of', () => {
    const page = needing();
    const [signIn] = shown()[0]?.options.actions ?? [];
    signIn?.callback(new MouseEvent('click'));
    expect(page.connections.map(({ acts }) => acts.length)).toEqual([0, 1]);
    expect(page.box.textContent).toContain('of two');
  });

  it('that a sign-in took away comes back when that was cancelled or failed, and not when it got through', () => {
    const page = needing();
    const say = (more: object, sign_in: object | null) =>
      page.connections[1]?.say(said(42, { ...needsYou, ...more }, { panel: 'two', sign_in }));
    expect(shown().length).toBe(1);
    for (const end of [null, { error: 'No.' }]) {
      say({}, { waiting: 'Waiting: 1 s' });
      expect(shown().length).toBe(0);
      say({}, end);
      expect(shown().length).toBe(1);
      say({}, end);
      expect(shown().length).toBe(1);
    }
    say({}, { waiting: 'Waiting: 1 s' });
    say({ sign_in: 'ok' }, null);
    expect(shown().length).toBe(0);
  });

  it('of a kernel that has gone is taken back, and nothing is remembered of it', () => {
    const page = new Page('one');
    const made = new Notifications(page.kernels, new Settings(), page.popup, trans);
    page.connection.open(said(42, needsYou));
    const remembered = () => (Reflect.get(made, 'shown') as Map<string, unknown>).size;
    expect([shown().length, remembered()]).toEqual([1, 1]);
    page.connection.restart();
    expect([shown().length, remembered()]).toEqual([0, 0]);
  });
});
