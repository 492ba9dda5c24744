// A button that opens a few others. Esc, going elsewhere and choosing one close it.
import { html } from '../html.js';

export function Menu({ words, end = false, children }) {
    const close = menu => {
        menu.open = false;
        menu.querySelector('summary').focus();
    };
    const key = event => {
        if (event.key !== 'Escape' || !event.currentTarget.open) return;
        event.preventDefault();
        close(event.currentTarget);
    };
    const leave = event => {
        if (event.relatedTarget && !event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false;
    };
    const choose = event => {
        if (event.target.closest('button')) close(event.currentTarget);
    };
    return html`<details class=${`menu ${end ? 'end' : ''}`} onKeyDown=${key} onFocusOut=${leave} onClick=${choose}>
        <summary>${words}</summary>
        <div class="sheet">${children}</div>
    </details>`;
}
