// As text, not through the builder's style loader, which would be larger than the stylesheet.
import css from '../style/index.raw.css';

export function style(): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets.push(sheet);
}
