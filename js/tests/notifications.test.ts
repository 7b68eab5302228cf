import { Notification } from '@jupyterlab/apputils';
import { Signal } from '@lumino/signaling';
import { expect, test } from 'vitest';
import { Notifications } from '../src/notifications';
import type { IFederationKernel, IFederationKernels } from '../src/tokens';
import { NOW, state, trans } from './states';

test('of a kernel that has gone, nothing is kept', () => {
  const kernel = {
    id: 'kernel-1',
    state: state(5, { sign_in: 'needs_you' }),
    now: NOW,
    compatible: true
  } as IFederationKernel;
  const all = [kernel];
  const kernels = {
    all,
    changed: new Signal({}),
    ticked: new Signal({})
  } as unknown as IFederationKernels & {
    changed: Signal<unknown, void>;
  };
  const settings = { warnMinutes: 5, notifyMinutes: 10, notifications: true, statusItem: true };
  const made = new Notifications(
    kernels,
    { composite: settings, changed: new Signal({}) as never },
    { open: () => undefined, toggle: () => undefined },
    trans
  );
  const kept = () => (made as unknown as { shown: Map<string, unknown> }).shown.size;
  kernels.changed.emit();
  expect([Notification.manager.count, kept()]).toEqual([1, 1]);
  all.pop();
  kernels.changed.emit();
  expect([Notification.manager.count, kept()]).toEqual([0, 0]);
});
