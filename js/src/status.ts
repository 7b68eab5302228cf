import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { clock, expired, heading, label, left, level, mismatch, words } from './countdown';
import { element, write } from './marks';
import type { IFederationKernels, IPopup, ISettings } from './tokens';

/** Until when the active notebook is signed in, and whether it needs somebody. */
export class StatusItem extends Widget {
  constructor(
    private readonly kernels: IFederationKernels,
    private readonly settings: ISettings,
    popup: IPopup,
    private readonly trans: TranslationBundle
  ) {
    super();
    this.addClass('jf-status-item');
    this.time.setAttribute('role', 'timer'); // which is not read out when it changes
    this.said.setAttribute('role', 'status');
    this.button.setAttribute('aria-haspopup', 'dialog');
    this.button.append(this.name, ' ', this.time);
    this.button.addEventListener('click', () => popup.toggle());
    this.node.append(this.button, this.said);
    for (const signal of [kernels.ticked, settings.changed]) {
      signal.connect(this.refresh, this);
    }
    this.refresh();
  }

  private refresh(): void {
    const kernel = this.kernels.current;
    const { statusItem, warnMinutes } = this.settings.composite;
    if (!kernel || !statusItem) {
      write(this.said, '');
      return;
    }
    const { state, now } = kernel;
    const sentence = mismatch(state, this.trans) ?? words(state, now, warnMinutes, this.trans);
    const remaining = expired(state, now) ? null : left(state, now);
    this.button.dataset.level = level(state, now, warnMinutes);
    write(this.name, label(state, now, this.trans));
    write(this.time, remaining === null ? '' : clock(remaining));
    write(this.said, `${heading(state)}: ${sentence}`);
    this.button.title = `${kernel.title}: ${sentence}`;
  }

  private readonly name = element('span', 'jf-label');
  private readonly time = element('span', 'jf-time');
  private readonly said = element('span', 'jf-said');
  private readonly button = element('button', 'jf-status-button jp-StatusBar-TextItem jp-mod-highlighted');
}
