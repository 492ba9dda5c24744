// What we can be given: queues, skills, how much at once, and at which telephones we sit.
import { profile } from '../acts.js';
import { desk } from '../desk.js';
import { html } from '../html.js';
import { t } from '../words.js';
import { Dialog } from './dialog.js';
import { Trouble } from './trouble.js';

const LISTS = ['queues', 'skills', 'extensions'];
const CHANNELS = ['phone', 'email', 'chat'];

export function Profile({ close }) {
    const known = desk.me?.profile ?? {};
    const save = async event => {
        event.preventDefault();
        const { elements } = event.target;
        const wanted = { capacity: {} };
        for (const name of LISTS) wanted[name] = elements[name].value.split(/[,\s]+/).filter(Boolean);
        for (const channel of CHANNELS) {
            if (elements[channel].value !== '') wanted.capacity[channel] = Number(elements[channel].value);
        }
        if (await profile(wanted)) close();
    };
    return html`<${Dialog} title=${t('profile')} close=${close}>
        <form class="fields" onSubmit=${save}>
            ${LISTS.map(name => html`<label key=${name}>
                ${t(`profile_${name}`)}<input name=${name} maxlength="2000" defaultValue=${(known[name] ?? []).join(', ')} /></label>`)}
            <fieldset><legend>${t('profile_capacity')}</legend>
                ${CHANNELS.map(channel => html`<label key=${channel}>
                    ${t(`channel_${channel}`)}<input name=${channel} type="number" min="0" max="100" defaultValue=${known.capacity?.[channel] ?? ''} /></label>`)}
            </fieldset>
            <p class="muted">${t('profile_how')}</p>
            <${Trouble} at="profile" />
            <button class="primary" disabled=${desk.busy.has('profile')}>${t('save')}</button>
        </form>
    <//>`;
}
