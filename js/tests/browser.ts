/** What JupyterLab's packages look for when they are loaded, and jsdom has not. */
Object.assign(globalThis, {
  DragEvent: class extends MouseEvent {},
  ResizeObserver: class {},
  matchMedia: () => ({ matches: false, addListener: () => undefined, addEventListener: () => undefined })
});
