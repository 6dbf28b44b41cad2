"""A small hub on this machine, which speaks the protocol of the real one, and fails on request."""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")  # stored by their sha256, as large files are


class Hub:
    """Models by their names, and how to fail.

    Attributes:
        models: `{"owner/name": {file: bytes}}`.
        private: names that are only given to the token `"secret"`.
        cut: how many answers with large files break off in the middle.
        lies: names of files whose size the hub tells wrong.
        changed: names of files of which other bytes are sent.
        fetched: names of the files that were sent, in order.
    """

    def __init__(self):
        self.models, self.private = {}, set()
        self.cut, self.lies, self.changed, self.fetched = 0, set(), set(), []


def entry(name, data, hub):
    size = len(data) + 5 if name in hub.lies else len(data)
    digest = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    found = {"type": "file", "path": name, "size": size, "oid": digest}
    if name.endswith(LARGE):
        sha256 = hashlib.sha256(data).hexdigest()
        found["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None

    def log_message(self, *_):
        pass

    def address(self):
        return f"http://{self.headers['Host']}"

    def answer(self, status, contents=None, **headers):
        data = b"" if contents is None else json.dumps(contents).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else data)

    def model(self, name):
        """The files of a model, or None where the answer was that there is none for this user."""
        if name in self.hub.private and self.headers.get("Authorization") != "Bearer secret":
            self.answer(401, {"error": "Invalid username or password."}, X_Error_Code="GatedRepo")
        elif name not in self.hub.models:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        else:
            return self.hub.models[name]
        return None

    def do_GET(self):
        path = self.path.split("?")[0]
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(tree|revision)/([^/]+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        files = self.model((api or file)[1])
        if files is None:
            return
        revision = (api[3] or "main") if api else file[2]
        if revision not in ("main", COMMIT):
            self.answer(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
        elif api and api[2] == "tree":
            self.answer(200, [entry(name, data, self.hub) for name, data in files.items()])
        elif api:
            siblings = [{"rfilename": name} for name in files]
            self.answer(200, {"id": api[1], "sha": COMMIT, "siblings": siblings, "tags": []})
        elif file[3] not in files:
            self.answer(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound")
        else:
            self.send_file(file[3], files[file[3]])

    do_HEAD = do_GET

    def send_file(self, name, data):
        about = entry(name, data, self.hub)
        etag = about.get("lfs", about)["oid"]
        if name in self.hub.changed:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = int(re.findall(r"\d+", self.headers.get("Range", "0"))[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if "lfs" in about:
            self.send_header("X-Linked-ETag", f'"{etag}"')
            self.send_header("X-Linked-Size", str(about["size"]))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.hub.fetched.append(name)
        if self.hub.cut and name.endswith(LARGE):
            self.hub.cut -= 1
            self.wfile.write(data[start : start + (len(data) - start) // 2])
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data[start:])

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers.get("Authorization") != "Bearer secret":
            self.answer(401, {"error": "Invalid username or password."})
            return
        name = re.fullmatch(r"/api/models/([^/]+/[^/]+)/.*|/.*", self.path)[1]
        if self.path == "/api/repos/create":
            about = json.loads(data)
            name = f"{about.get('organization') or 'me'}/{about['name'].split('/')[-1]}"
            self.hub.models.setdefault(name, {})
            self.answer(200, {"url": f"{self.address()}/{name}", "id": name, "name": name})
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(data)["files"]
            ]
            self.answer(200, {"files": files})
        elif "/commit/" in self.path:
            for line in data.splitlines():
                value = json.loads(line)["value"]
                if "content" in value:
                    self.hub.models[name][value["path"]] = base64.b64decode(value["content"])
            url = f"{self.address()}/{name}/commit/{COMMIT}"
            self.answer(200, {"commitUrl": url, "commitOid": COMMIT, "success": True})
        else:
            self.answer(200, {})


@contextlib.contextmanager
def running():
    """A `Hub`, and the address that it answers at."""
    hub = Hub()
    handler = type("Bound", (Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
