// What is said aloud, and never shown.
import { announce, desk } from '../desk.js';
import { html } from '../html.js';
import { t } from '../words.js';

export const announceSent = kind => announce(kind === 'note' ? t('say_noted') : t('say_sent'));

export const Spoken = () => html`<div class="unseen">
    <div role="status" aria-live="polite" data-testid="polite">${desk.spoken.polite}</div>
    <div role="alert" aria-live="assertive" data-testid="assertive">${desk.spoken.assertive}</div>
</div>`;
