import type { ICommandPalette } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { act, signIn } from './actions';
import { holds, isOpen } from './protocol';
import type { IFederationKernel, IFederationKernels, IPopup } from './tokens';

export const SIGN_IN = 'federation:sign-in';
export const REFRESH = 'federation:refresh';
export const CLEAR = 'federation:clear';
export const OPEN_PANEL = 'federation:open-panel';

/** The commands, each enabled where it makes sense for the active notebook's kernel. */
export function addCommands(
  registry: CommandRegistry,
  kernels: IFederationKernels,
  popup: IPopup,
  palette: ICommandPalette | null,
  trans: TranslationBundle
): void {
  const add = (
    id: string,
    label: string,
    makesSense: (kernel: IFederationKernel) => boolean,
    run: (kernel: IFederationKernel) => Promise<void>
  ) =>
    registry.addCommand(id, {
      label,
      isEnabled: () => !!kernels.current?.compatible && makesSense(kernels.current),
      execute: () => kernels.current && run(kernels.current)
    });
  add(
    SIGN_IN,
    trans.__('Sign In to AWS'),
    kernel => !isOpen(kernel.state),
    kernel => {
      popup.open();
      return signIn(kernel);
    }
  );
  add(
    REFRESH,
    trans.__('Refresh AWS Session'),
    kernel => holds(kernel.state),
    kernel => act(kernel, { action: 'refresh' })
  );
  add(
    CLEAR,
    trans.__('Clear AWS Session'),
    kernel => holds(kernel.state),
    kernel => act(kernel, { action: 'clear', sign_out: false })
  );
  for (const command of [SIGN_IN, REFRESH, CLEAR, OPEN_PANEL]) {
    palette?.addItem({ command, category: trans.__('AWS Federation') });
    kernels.changed.connect(() => registry.notifyCommandChanged(command));
  }
}
