import { CommandRegistry } from '@lumino/commands';
import { expect, it } from 'vitest';
import { addCommands, CLEAR, OPEN_PANEL, REFRESH, SIGN_IN } from '../src/commands';
import { Page } from './page';
import { said, trans } from './states';

it('a state has our own commands looked at anew, and nobody else asked', () => {
  const page = new Page('one');
  const registry = new CommandRegistry();
  addCommands(registry, page.kernels, page.popup, null, trans);
  registry.addCommand(OPEN_PANEL, { execute: () => undefined });
  const changed: unknown[] = [];
  registry.commandChanged.connect((_, { id, type }) => changed.push([type, id]));
  expect(registry.isEnabled(CLEAR)).toBe(false);
  page.connection.open(said(42));
  expect(changed).toEqual([SIGN_IN, REFRESH, CLEAR, OPEN_PANEL].map(id => ['changed', id]));
  expect([SIGN_IN, REFRESH, CLEAR].map(id => registry.isEnabled(id))).toEqual([true, true, true]);
  page.connection.say(said(42, {}, { sign_in: { waiting: 'Waiting: 1 s' } }));
  expect(registry.isEnabled(SIGN_IN)).toBe(false);
  void registry.execute(CLEAR);
  expect(page.connection.acts).toEqual([{ action: 'clear', sign_out: false }]);
});
