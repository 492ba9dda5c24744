// A visit: what the widget's stories have in common. A visitor comes to a customer's site, behind which stands a desk
// of the story's own; both are gone at its end.
import { after, afterEach, before, beforeEach } from 'node:test';
import { Site } from './site.mjs';

export let site, desk, visitor;

// `open` gives the desk for these origins.
export function toDesks(open) {
    before(async () => {
        site = await Site.open();
    });
    after(() => site?.close());
    beforeEach(async () => {
        desk = await open([site.url]);
        site.desk = desk.url;
        visitor = await site.visitor();
    });
    afterEach(async () => {
        await visitor?.leave();
        await desk?.end();
    });
}
