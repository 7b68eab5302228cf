import { ILabShell, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IConsoleTracker } from '@jupyterlab/console';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { addCommands, OPEN_PANEL } from './commands';
import { FederationKernels } from './kernels';
import { listen } from './marks';
import { Notifications } from './notifications';
import { LivePanels, MIME_TYPE, PanelRenderer } from './panel';
import { Popup } from './popup';
import { Settings } from './settings';
import { StatusItem } from './status';
import { style } from './stylesheet';
import { IFederationKernels, IPopup, ISettings } from './tokens';

const bundle = (translator: ITranslator | null) =>
  (translator ?? nullTranslator).load('jupyter_aws_federation');

const kernels: JupyterFrontEndPlugin<IFederationKernels> = {
  id: 'jupyter-aws-federation:kernels',
  description: 'Knows the AWS session.',
  autoStart: true,
  provides: IFederationKernels,
  optional: [INotebookTracker, IConsoleTracker],
  activate: (app: JupyterFrontEnd, notebooks: INotebookTracker | null, consoles: IConsoleTracker | null) => {
    style();
    const known = new FederationKernels();
    for (const tracker of [notebooks, consoles]) {
      tracker?.forEach(panel => {
        known.watch(panel); // it may have been added before this was activated
      });
      tracker?.widgetAdded.connect((_, panel) => known.watch(panel));
      tracker?.currentChanged.connect((_, panel) => {
        panel && known.watch(panel); // it may be current before it counts as added
        known.activate(panel);
      });
    }
    known.activate(app.shell.currentWidget); // of those that were there before this
    app.shell.currentChanged?.connect((_, change) => known.activate(change.newValue));
    return known;
  }
};

const settings: JupyterFrontEndPlugin<ISettings> = {
  id: 'jupyter-aws-federation:settings',
  description: 'Settings of what is shown.',
  autoStart: true,
  provides: ISettings,
  requires: [ISettingRegistry],
  activate: (_: JupyterFrontEnd, registry: ISettingRegistry) => {
    const known = new Settings();
    known.follow(registry, settings.id).catch(console.warn);
    return known;
  }
};

const popup: JupyterFrontEndPlugin<IPopup> = {
  id: 'jupyter-aws-federation:popup',
  description: 'Shows the AWS session.',
  autoStart: true,
  provides: IPopup,
  requires: [IFederationKernels, ISettings],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    known: IFederationKernels,
    chosen: ISettings,
    translator: ITranslator | null
  ) => new Popup(known, chosen, bundle(translator), () => void app.commands.execute(OPEN_PANEL))
};

const panel: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aws-federation:panel',
  description: 'Lets the panel act while a cell runs.',
  autoStart: true,
  requires: [IFederationKernels, IRenderMimeRegistry],
  optional: [ITranslator, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    known: IFederationKernels,
    registry: IRenderMimeRegistry,
    translator: ITranslator | null,
    shell: ILabShell | null
  ) => {
    const trans = bundle(translator);
    const live = new LivePanels(app, shell, known, trans);
    registry.addFactory(
      {
        safe: false, // in a notebook that is not trusted, the HTML is shown
        mimeTypes: [MIME_TYPE],
        createRenderer: () => new PanelRenderer(known, registry, live, trans)
      },
      -20 // before the widget view
    );
    listen(trans);
    app.commands.addCommand(OPEN_PANEL, {
      label: trans.__('Show AWS Session Panel'),
      isEnabled: () => known.current !== null,
      execute: () => live.open()
    });
  }
};

const statusItem: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aws-federation:status-item',
  description: 'Shows when the AWS session ends.',
  autoStart: true,
  requires: [IFederationKernels, ISettings, IPopup],
  optional: [IStatusBar, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    known: IFederationKernels,
    chosen: ISettings,
    shown: IPopup,
    bar: IStatusBar | null,
    translator: ITranslator | null
  ) => {
    const changed = new Signal<object, void>({});
    for (const signal of [known.changed, chosen.changed]) {
      signal.connect(() => changed.emit());
    }
    bar?.registerStatusItem(statusItem.id, {
      item: new StatusItem(known, chosen, shown, bundle(translator)),
      align: 'left',
      rank: 4,
      priority: 1, // or a narrow window hides it
      isActive: () => known.current !== null && chosen.composite.statusItem,
      activeStateChanged: changed
    });
  }
};

const notifications: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aws-federation:notifications',
  description: 'Tells before the AWS session ends.',
  autoStart: true,
  requires: [IFederationKernels, ISettings, IPopup],
  optional: [ITranslator],
  activate: (
    _: JupyterFrontEnd,
    known: IFederationKernels,
    chosen: ISettings,
    shown: IPopup,
    translator: ITranslator | null
  ) => {
    new Notifications(known, chosen, shown, bundle(translator));
  }
};

const commands: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-aws-federation:commands',
  description: 'Commands for the AWS session.',
  autoStart: true,
  requires: [IFederationKernels, IPopup],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    known: IFederationKernels,
    shown: IPopup,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => addCommands(app.commands, known, shown, palette, bundle(translator))
};

export default [kernels, settings, popup, panel, statusItem, notifications, commands];
