"""nginx with the module nchan, one worker process; only where it is installed.

Nothing is installed here: `apt-get install nginx libnginx-mod-nchan` on Debian.
"""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

MODULES = (
    Path("/usr/lib/nginx/modules/ngx_nchan_module.so"),
    Path("/usr/lib64/nginx/modules/ngx_nchan_module.so"),
)

CONFIGURATION = """
load_module {module};
user {user};
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    keepalive_requests 1000000;
    location = /publish {{
      nchan_publisher;
      nchan_channel_id bench;
    }}
    location = /stream {{
      nchan_subscriber eventsource;
      nchan_channel_id bench;
      nchan_subscriber_first_message newest;
    }}
  }}
}}
"""


def missing() -> str | None:
    """Why it cannot run here; None when it can."""
    if shutil.which("nginx", path=_path()) is None:
        return "nginx is not installed"
    if _module() is None:
        return "nginx has no module nchan (libnginx-mod-nchan)"
    return None


def argv(folder: Path, port: int) -> list[str]:
    """The program that serves on this port, its configuration written to `folder`."""
    written = folder / "nginx.conf"
    user = pwd.getpwuid(os.getuid()).pw_name
    written.write_text(
        CONFIGURATION.format(module=_module(), folder=folder, port=port, user=user)
    )
    program = shutil.which("nginx", path=_path()) or "nginx"
    return [program, "-p", str(folder), "-c", str(written), "-e", f"{folder}/error.log"]


def workers(master: int) -> list[int]:
    """The pids of the master's children."""
    listed = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(pid) for pid in listed.split()]


def _module() -> Path | None:
    return next((path for path in MODULES if path.exists()), None)


def _path() -> str:
    # it lies in a folder that ordinary users do not search
    return os.defpath + ":/usr/sbin:/usr/local/sbin"
