// A window over the page: it takes the focus, Esc closes it, and the focus goes back to where it was.
import { html, useLayoutEffect, useRef } from '../html.js';
import { t } from '../words.js';
import { Icon } from './icons.js';

export function Dialog({ title, close, children }) {
    const dialog = useRef(null);
    // Before the next key is pressed: it is for the window.
    useLayoutEffect(() => {
        dialog.current.showModal();
        const opened = dialog.current;
        return () => opened.close();
    }, []);
    const outside = event => event.target === dialog.current && close();
    return html`<dialog ref=${dialog} aria-labelledby="dialog-title" onClose=${close} onClick=${outside}>
        <div class="inside">
            <div class="bar"><h2 id="dialog-title">${title}</h2>
                <button type="button" class="quiet" onClick=${close}><${Icon} name="close" />
                    <span class="unseen">${t('close')}</span></button></div>
            ${children}
        </div>
    </dialog>`;
}
