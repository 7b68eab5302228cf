/** What JupyterLab's packages look for, and jsdom has not. */
const nothing = () => undefined;

Object.assign(globalThis, {
  DragEvent: class extends MouseEvent {},
  IntersectionObserver: class {},
  ResizeObserver: class {},
  matchMedia: () => ({ matches: false, addListener: nothing, removeListener: nothing })
});
