"""An SSH server that runs the real ``git upload-pack`` on repositories of a folder, and the keys to get in."""

import asyncio
import contextlib
import os
import shlex
import threading

import asyncssh

from penstock.core.sources.addresses import GuardedUrl
from penstock.ports.git import Remote


class SshServer:
    """``v2``: whether it takes GIT_PROTOCOL, as servers with AcceptEnv do. ``secret``: Flux's Secret for it."""

    def __init__(self, root, *, v2=True, key_type="ssh-ed25519", host_key="ssh-ed25519"):
        self._root, self._v2 = root, v2
        self.client, self.host = asyncssh.generate_private_key(key_type), asyncssh.generate_private_key(host_key)
        self.commands, self._children = [], []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(20)
        known = f"[127.0.0.1]:{self.port} ".encode() + self.host.export_public_key()
        self.secret = {"identity": self.client.export_private_key(), "known_hosts": known}
        return self

    async def _listen(self):
        authorized = asyncssh.import_authorized_keys(self.client.export_public_key().decode())
        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self.host],
            authorized_client_keys=authorized,
            process_factory=self._serve,
            encoding=None,
        )
        return self._server.get_port()

    async def _serve(self, process):
        self.commands.append((process.get_extra_info("username"), process.command))
        program, path = shlex.split(process.command)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._root), "GIT_CONFIG_NOSYSTEM": "1"}
        if self._v2 and process.env.get("GIT_PROTOCOL"):
            environment["GIT_PROTOCOL"] = process.env["GIT_PROTOCOL"]
        pipe = asyncio.subprocess.PIPE
        git = await asyncio.create_subprocess_exec(
            "git",
            program.removeprefix("git-"),
            str(self._root) + path,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=environment,
        )
        self._children.append(git)
        told = asyncio.ensure_future(_copied(process.stdin, git.stdin))
        with contextlib.suppress(OSError):
            await asyncio.gather(_copied(git.stdout, process.stdout), _copied(git.stderr, process.stderr))
            process.exit(await git.wait())
        told.cancel()

    def __exit__(self, *_):
        async def stop():
            self._server.close()
            await self._server.wait_closed()
            for child in self._children:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
                child._transport.close()
            others = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
            for each in others:
                each.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def remote(self, name, *, allowed=("127.0.0.1",), **more):
        url = GuardedUrl(f"ssh://git@127.0.0.1:{self.port}/{name}.git", allowed)
        return Remote(**{"url": url, "credentials": self.secret, "timeout": 20, **more})


async def _copied(source, target):
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
