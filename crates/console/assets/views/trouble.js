// What went wrong, there where it went wrong: a sentence of ours, and beneath it what the server said.
import { desk } from '../desk.js';
import { html } from '../html.js';
import { Icon } from './icons.js';

export function Trouble({ at, problem = desk.problems.get(at), id, again, words }) {
    if (!problem) return null;
    return html`<p class="trouble" role="alert" id=${id}>
        <${Icon} name="warn" /><span>${problem.message}
            ${problem.detail && html` <small lang="en">${problem.detail}</small>`}</span>
        ${again && html`<button type="button" class="quiet" onClick=${again}>${words}</button>`}
    </p>`;
}
