// Shows a video's first frame before there is a player: opens a MediaSource, fetches the beginning of the smallest rung and of the sound straight
// from where the page says they are, and appends bytes as they arrive. Once there is enough to go on playing, it brings the player in (WASM and
// hls.js); it plays on until hls.js has read its playlists, then hands it the element with its buffers, between two segments. It changes nothing
// about when a video plays: by itself only where the page is asked to, otherwise at a click, which it hears until the player does.
// Whatever goes wrong, the page is as if this were not here: the player opens the video by itself.
// Lines that are nothing but a comment are left out of the page.
(() => {
    // After so many milliseconds without a byte, or without a frame, something hangs.
    const QUIET = 12000;
    // Seconds of buffer before the player's scripts may use the line, and the most to load without hls.js.
    const SPARE = 2, MOST = 20;
    const plan = JSON.parse(document.getElementById('start').textContent), { tracks } = plan;
    // As `StartOptions::from_query` reads it.
    const asked = {};
    for (const pair of location.search.slice(1).split('&')) {
        const [name, value = ''] = pair.split('=', 2);
        asked[name] = value;
    }
    const on = name => name in asked && !/^(0|false)$/.test(asked[name]);
    const autoplay = on('autoplay');

    let booted;
    const boot = () => {
        if (booted) return;
        booted = true;
        const add = (tag, what) => document.head.append(Object.assign(document.createElement(tag), what));
        const go = () => {
            add('link', { rel: 'preload', as: 'script', href: plan.hls });
            add('link', { rel: 'preload', as: 'fetch', crossOrigin: '', href: plan.wasm });
            add('script', { type: 'module', src: plan.entry });
        };
        if (document.readyState == 'loading') document.addEventListener('DOMContentLoaded', go);
        else go();
    };

    // Here the player is better alone: an own way to stream, data to be saved, a beginning elsewhere.
    const type = track => `${track.kind}/mp4;codecs="${track.codec}"`;
    if (!window.MediaSource || window.ManagedMediaSource || (navigator.connection?.saveData && !autoplay) ||
        ['t', 'start', 'startTime'].some(name => /[1-9]/.test(asked[name])) ||
        !tracks.every(track => MediaSource.isTypeSupported(type(track)))) return boot();

    const media = new MediaSource(), line = new AbortController(), events = new AbortController(), clicks = new AbortController();
    const opened = new Promise(resolve => media.addEventListener('sourceopen', resolve, { once: true }));
    // All of a file, or what comes after so many bytes.
    const ask = async ({ media: { base, query } }, file, from) => {
        const headers = from ? { range: `bytes=${from}-` } : {};
        const answer = await fetch(base + file + (query && '?' + query), { signal: line.signal, headers });
        if (answer.status != (from ? 206 : 200)) throw answer.status;
        return answer;
    };
    // What the page brings along, read as an answer is: all that is there by then is one piece, for each has its price.
    const bytesOf = Uint8Array.fromBase64 ? text => Uint8Array.fromBase64(text) : text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const pageOf = track => ({
        getReader: () => ({
            async read() {
                while (!track.page && !track.all) await new Promise(resolve => track.more = resolve);
                const text = track.page;
                track.page = '';
                return text ? { value: bytesOf(text) } : { done: true };
            }
        })
    });
    for (const track of tracks) {
        const { opening, init, segments: [file] } = track;
        track.next = 0;
        track.page = '';
        // A small segment is in the page as a whole.
        track.first = opening ? [{ body: pageOf(track) }, opening.rest_from && ask(track, file, opening.rest_from)] : [ask(track, init), ask(track, file)];
        for (const answer of track.first) answer?.catch?.(() => {});
    }

    // `framed`: there is a picture. `shown`: it is on the screen, and the player's scripts hold it up no more. `leave`: hls.js is ready. `over`: it has taken over, or this has failed.
    let video, player, poster, framed, shown, leave, over, failed, quiet, wake = () => {};
    let bytes = 0, busy = 0, last = 0;
    const end = ({ buffer }) => {
        try {
            const { buffered } = buffer;
            return buffered.length && buffered.end(buffered.length - 1);
        } catch {
            // The element has been given something else, and frames of that are told of here as well.
            return 0;
        }
    };
    const filled = () => Math.min(...tracks.map(end));

    // Lets go of the line and the clock. The element is the player's to empty: it may want to know how far it was.
    const quit = () => {
        if (over) return;
        over = starter.over = true;
        clearTimeout(quiet);
        for (const hold of [line, events, clicks]) hold.abort();
        wake();
        if (poster) video.poster = poster;
        if (player) delete player.dataset.starting;
    };
    const fail = () => {
        if (over) return;
        quit();
        boot();
        failed?.();
    };
    const alive = () => {
        clearTimeout(quiet);
        quiet = setTimeout(() => {
            if (!framed) return fail();
            line.abort();
            // What it waited for was not the line: the rest of the page, or the browser.
            quiet = setTimeout(fail, 2000);
        }, QUIET);
    };

    const append = ({ buffer }, data) => new Promise((resolve, reject) => {
        buffer.onupdateend = resolve;
        buffer.onerror = reject;
        buffer.appendBuffer(data);
    });
    const enough = () => {
        if (over) return;
        if (framed && video.paused || shown && filled() - video.currentTime > SPARE) boot();
    };
    const load = async track => {
        for (const source of track.next ? [ask(track, track.segments[track.next])] : track.first) {
            const answer = await source, reader = answer?.body.getReader();
            while (reader) {
                const { done, value } = await reader.read();
                if (done || over) break;
                alive();
                // What the page brings along says nothing about the line: it may have come long before.
                if (answer.ok) bytes += value.length;
                await append(track, value);
                // What begins late would never begin.
                if (!track.next && end(track) && track.buffer.buffered.start(0) > 0.1) throw 'late';
                enough();
            }
        }
        enough();
        track.next++;
    };
    // Sound and picture advance in step: neither takes the other's half of the line.
    const round = async () => {
        const began = performance.now(), least = filled();
        alive();
        const loads = await Promise.allSettled(tracks.filter(track => end(track) < least + 0.5).map(load));
        const wrong = loads.find(({ reason }) => reason !== undefined);
        if (wrong) throw wrong.reason;
        if (framed) clearTimeout(quiet);
        last = (performance.now() - began) / 1000;
        busy += last;
    };
    // Loads on until hls.js may have it: between two segments, with time enough for it to fetch the next one as a whole.
    const run = async () => {
        await opened;
        media.duration = plan.duration_ms / 1000;
        for (const track of tracks) track.buffer = media.addSourceBuffer(type(track));
        for (let more = true; !over;) {
            const ahead = filled() - video.currentTime;
            more &&= tracks.every(track => track.next < track.segments.length);
            if (leave && (!more || video.paused || ahead > 1.5 * last + 0.5)) break;
            if (more && ahead < MOST && !(still() && filled())) {
                await round().catch(error => {
                    if (!framed || over) throw error;
                    // hls.js has its own ways with a bad line. It asks again for what was cut off.
                    more = false;
                    clearTimeout(quiet);
                    for (const { buffer } of tracks) buffer.abort();
                });
                enough();
            } else {
                boot();
                await new Promise(resolve => wake = resolve);
            }
        }
        clearTimeout(quiet);
    };
    let ready;

    const play = () => {
        starter.wanted = true;
        settle();
        player.dataset.starting ??= '';
        video.play().catch(({ name }) => {
            if (name != 'NotAllowedError' || over) return;
            // The browser starts nothing by itself that can be heard: without sound then, and if not even that, at a click.
            if (video.muted) {
                starter.wanted = false;
                delete player.dataset.starting;
            } else {
                video.muted = starter.muted = true;
                play();
            }
        });
    };
    const kept = name => { try { return localStorage.getItem('millrace.' + name); } catch {} };
    // As the viewer left it. To look for that takes the browser as long as opening the media, so it has to wait until these are open.
    let settled;
    // Nor does it play earlier, where it is asked to.
    const still = () => video.paused && (settled || !autoplay);
    const settle = () => {
        if (settled) return;
        settled = true;
        const volume = kept('volume'), rate = kept('rate') / 100;
        if (/^\d+$/.test(volume) && volume <= 100) video.volume = volume / 100;
        if (rate >= 0.5 && rate <= 2) video.defaultPlaybackRate = video.playbackRate = rate;
        video.muted = kept('muted') == 'true' || on('muted') || on('mute');
    };
    // Nothing but the picture is laid out and painted before there is one: that would hold it up. But nobody is to look at nothing for long.
    const show = () => {
        if (player.dataset.starting) player.dataset.starting = '';
    };
    const prepare = () => {
        video.src = URL.createObjectURL(media);
        const listen = (name, then) => video.addEventListener(name, then, { signal: events.signal });
        for (const name of ['timeupdate', 'play', 'pause']) listen(name, () => wake());
        const see = () => {
            shown = true;
            show();
            enough();
        };
        listen('loadeddata', () => {
            framed = true;
            if (video.requestVideoFrameCallback) enough();
            else see();
        });
        video.requestVideoFrameCallback?.(see);
        listen('error', fail);
        player.addEventListener('click', ({ target }) => {
            if (video.paused && target.closest('video, .player-big')) play();
        }, { signal: clicks.signal });
        listen('loadedmetadata', autoplay ? play : settle);
        if (!autoplay) return;
        // It would take the first frame's place on the line.
        poster = video.poster;
        video.removeAttribute('poster');
        player.dataset.starting = 'unseen';
        setTimeout(show, 400);
    };
    const look = () => {
        if (over) return watch.disconnect();
        video = document.querySelector('#player video');
        if (!video) return;
        watch.disconnect();
        player = video.closest('.player');
        prepare();
        ready = run();
        ready.catch(fail);
    };
    const watch = new MutationObserver(look);

    const give = hls => {
        if (over) return;
        over = starter.over = true;
        events.abort();
        const given = {};
        for (const { kind, codec, buffer } of tracks) {
            buffer.onupdateend = buffer.onerror = null;
            const id = kind == 'video' ? 'main' : kind;
            given[kind] = { id, container: kind + '/mp4', codec, levelCodec: codec, buffer, listeners: [] };
        }
        const ends = tracks.map(end);
        hls.stopLoad();
        hls.attachMedia({ media: video, mediaSource: media, tracks: given });
        // It does not look at the buffers before it has a first segment: from where the picture ends, unless the sound, whose segments are cut
        // elsewhere, would then have a hole in it. `true`: playing goes on where it is.
        const least = Math.min(...ends);
        hls.startLoad(ends[0] - least > 0.5 ? least : ends[0], true);
        performance.mark('millrace: hls.js has taken over');
        // Until it has loaded something of its own, it is watched.
        let starved = 0;
        const watching = setInterval(() => {
            starved = video.paused || video.readyState > 2 ? 0 : starved + 1000;
            if (tracks.every((track, index) => end(track) > ends[index])) clearInterval(watching);
            else if (starved > QUIET) clearInterval(watching), failed();
        }, 1000);
        hls.once('hlsDestroying', () => clearInterval(watching));
    };

    const starter = window.millraceStarter = {
        // Nothing is to be had from it any more.
        over: false,
        // Whether it is to play, and whether the browser wanted it without sound.
        wanted: autoplay,
        muted: false,
        // What the page brings along, as the browser reads on in it.
        take(index, data, last) {
            const track = tracks[index];
            track.page += data;
            track.all = last;
            track.more?.();
        },
        // Bits per second, with some caution.
        get estimate() {
            return bytes && busy ? bytes * 8 / busy * 0.8 : 500000;
        },
        // The player hears the viewer from now on.
        adopt() {
            clicks.abort();
            if (player) delete player.dataset.starting;
        },
        // `hls` gets the element once both are ready; `otherwise` is called where that fails.
        handOver(hls, otherwise) {
            failed = otherwise;
            const once = name => new Promise(resolve => hls.once(name, resolve));
            const sound = tracks.length > 1, read = [once('hlsLevelLoaded')];
            if (sound) read.push(once('hlsAudioTrackLoaded'));
            hls.once('hlsManifestParsed', (_, { audioTracks }) => audioTracks.length > 0 == sound ? hls.startLoad() : fail());
            Promise.all(read).then(() => {
                leave = true;
                wake();
                return ready;
            }).then(() => give(hls)).catch(fail);
        },
        stop: quit,
    };
    watch.observe(document, { childList: true, subtree: true });
    alive();
})();
