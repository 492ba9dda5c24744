// A shift: what the console's stories have in common. There is a house, agents come to it, and at the end of every
// story they leave, and everything ran under the policy the page is served with. `site`, `desk` and `token`
// (olena's, a supervisor) are those of the story that is being told.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';
import { Agent, House } from './console.mjs';
import { Site } from './site.mjs';

export let site, desk, token;
let here = [];

// Every story has a house of its own, in which nothing has happened yet.
export function inHousesOfTheirOwn(kind = House) {
    before(opens);
    after(() => site?.close());
    beforeEach(() => begins(kind));
    afterEach(async () => {
        const complaints = await everybodyLeaves();
        await desk?.end();
        assert.deepEqual(complaints, []);
    });
}

// For stories that change nothing: one house for all, in which happened what `fill` does.
export function inOneHouse(fill) {
    before(async () => {
        await opens();
        await begins(House);
        await fill();
    });
    after(async () => {
        await site?.close();
        await desk?.end();
    });
    afterEach(async () => assert.deepEqual(await everybodyLeaves(), []));
}

// An agent at a computer of their own, who has not opened the page yet.
export async function agent(as = token, options) {
    const one = await Agent.at(site, desk, as, options);
    here.push(one);
    return one;
}

async function opens() {
    site = await Site.open();
}

async function begins(kind) {
    desk = await kind.open();
    site.desk = desk.url;
    token = await desk.hire('olena', 'supervisor');
}

async function everybodyLeaves() {
    const complaints = here.flatMap(one => one.complaints);
    await Promise.all(here.map(one => one.leaves()));
    here = [];
    return complaints;
}
