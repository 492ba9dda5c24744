// What went wrong, there where it went wrong.
import { desk } from '../desk.js';
import { html } from '../html.js';
import { Icon } from './icons.js';

export function Trouble({ at, again, words }) {
    const problem = desk.problems.get(at);
    if (!problem) return null;
    return html`<p class="trouble" role="alert">
        <${Icon} name="warn" /><span>${problem}</span>
        ${again && html`<button type="button" class="quiet" onClick=${again}>${words}</button>`}
    </p>`;
}
