// The door: a token, and nothing else.
import { html, useState } from '../html.js';
import { drop, enter } from '../session.js';
import { t } from '../words.js';
import { Language } from './top.js';

// `why` says why one stands here again; `come(): Promise` tries the token and throws what is wrong with it.
export function SignIn({ why, come }) {
    const [problem, say] = useState(why);
    const [busy, work] = useState(false);
    const submit = async event => {
        event.preventDefault();
        const { token, remember } = event.target.elements;
        const given = token.value.trim();
        if (!/^[A-Za-z0-9_-]{1,255}$/.test(given)) {
            say(t('token_malformed'));
            token.focus();
            return;
        }
        work(true);
        enter(given, remember.checked);
        try {
            await come();
        } catch (problem) {
            drop();
            say(problem.status === 401 ? t('token_wrong') : problem.message);
            work(false);
            token.focus();
        }
    };
    return html`<main class="door" id="main">
        <form onSubmit=${submit} aria-labelledby="door-title">
            <h1 id="door-title"><img src="./icon.svg" alt="" width="32" height="32" /> Frontdesk</h1>
            <p>${t('sign_in_how')}</p>
            <label for="token">${t('token')}</label>
            <input id="token" name="token" type="password" autocomplete="off" spellcheck=${false} required
                aria-invalid=${problem ? 'true' : null} aria-describedby=${problem ? 'token-problem' : null} autofocus />
            ${problem && html`<p class="trouble" role="alert" id="token-problem">${problem}</p>`}
            <label class="check"><input type="checkbox" name="remember" /> ${t('remember')}</label>
            <button class="primary" disabled=${busy}>${t('sign_in')}</button>
            <${Language} />
        </form>
    </main>`;
}
