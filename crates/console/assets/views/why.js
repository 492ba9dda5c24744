// Why a conversation is where it is: the rule that chose, its reasons, and what was promised.
import { span } from '../format.js';
import { html } from '../html.js';
import { said, t } from '../words.js';

export function Why({ conversation }) {
    const { rule, queue, priority, skills = [], promises = {}, reasons = [], failed = [] } = conversation.routing;
    const kept = Object.entries(promises).filter(([, one]) => one);
    return html`<section aria-labelledby="why"><details>
        <summary><h2 id="why">${t('why_here')}</h2></summary>
        <dl class="pairs">
            <div><dt>${t('rule')}</dt><dd>${rule ?? t('no_rule')}</dd></div>
            <div><dt>${t('queue')}</dt><dd>${queue}</dd></div>
            <div><dt>${t('priority')}</dt><dd>${priority}</dd></div>
            ${skills.length > 0 && html`<div><dt>${t('skills')}</dt><dd>${skills.join(', ')}</dd></div>`}
            ${kept.map(([kind, one]) => html`<div key=${kind}><dt>${said('promise', kind)}</dt><dd>
                ${span(one.within_s)}${one.calendar ? ` (${one.calendar})` : ''}</dd></div>`)}
        </dl>
        ${reasons.length > 0 && html`<ul class="reasons">${reasons.map(one => html`<li key=${String(one)}>
            ${words(one)}</li>`)}</ul>`}
        ${failed.map(one => html`<p class="warned" key=${one.rule}>
            ${t('rule_failed', { rule: one.rule })}: ${one.reason}</p>`)}
    </details></section>`;
}

const words = reason => (typeof reason === 'string' ? reason : (reason.reason ?? JSON.stringify(reason)));
