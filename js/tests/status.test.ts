import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IStatusBar } from '@jupyterlab/statusbar';
import { expect, it, vi } from 'vitest';
import plugins from '../src/index';
import { Settings } from '../src/settings';
import { Page } from './page';
import { said } from './states';

it('the item has its place in the status bar while a kernel is known, and none where the settings turn it off', () => {
  const page = new Page('one');
  const settings = new Settings();
  const bar = { registerStatusItem: vi.fn() };
  const plugin = plugins.find(({ id }) => id === 'jupyter-aws-federation:status-item');
  plugin?.activate({} as JupyterFrontEnd, page.kernels, settings, page.popup, bar, null);
  const item = bar.registerStatusItem.mock.calls[0]?.[1] as IStatusBar.IItem;
  const heard = vi.fn();
  item.activeStateChanged?.connect(heard);
  expect(item.isActive?.()).toBe(false);
  page.connection.open(said(42));
  expect([item.isActive?.(), heard.mock.calls.length]).toEqual([true, 1]);
  settings.composite = { ...settings.composite, statusItem: false };
  settings.changed.emit();
  expect([item.isActive?.(), heard.mock.calls.length]).toEqual([false, 2]);
});
