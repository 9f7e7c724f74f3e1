"""A class on one machine: a hub in front, one server of the course behind, a Lab for each learner.

    COURSE_SPAWNER=systemd jupyterhub -f docs/jupyterhub/jupyterhub_config.py

README.md beside this file says what to install, and what each variable is for. The server is a
service of the hub: it asks the hub whose token a request carries, and each learner has files,
jobs and models that no other sees.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub runs this file with it

HERE = Path(__file__).resolve().parent
SERVICE = "course"


def setting(name: str, default: str) -> str:
    """A variable of the environment, empty ones left out."""
    return os.environ.get(f"COURSE_{name}") or default


COURSE = Path(setting("ROOT", str(HERE.parents[1])))
STATE = Path(setting("STATE", str(COURSE / ".workbook")))
PYTHON = setting("PYTHON", str(COURSE / ".venv" / "bin" / "python"))
SPAWNER = setting("SPAWNER", "systemd")
# Where Labs reach the hub and the server: containers do so over Docker's bridge.
ADDRESS = setting("ADDRESS", "172.17.0.1" if SPAWNER == "docker" else "127.0.0.1")
PORT = setting("PORT", "8791")
NAME = setting("NAME", "localhost")
LEADERS = set(setting("LEADERS", "").split(",")) - {""}
ACCESS = f"access:services!service={SERVICE}"

c.JupyterHub.bind_url = setting("BIND", "http://127.0.0.1:8000")
c.JupyterHub.hub_ip = ADDRESS
c.JupyterHub.hub_port = int(setting("HUB_PORT", "8081"))
c.JupyterHub.db_url = f"sqlite:///{STATE / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(STATE / "jupyterhub_cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(STATE / "jupyterhub-proxy.pid")
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{setting('PROXY_PORT', '8001')}"
# The key of the server, everybody's files and the hub's secret: no learner may read them.
STATE.mkdir(parents=True, exist_ok=True)
STATE.chmod(0o700)

# Who may log in. With systemd, the machine's own accounts; else a password for the class.
c.Authenticator.allow_all = True
c.Authenticator.admin_users = LEADERS
if SPAWNER == "systemd":
    c.JupyterHub.authenticator_class = "pam"
else:
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = os.environ["COURSE_PASSWORD"]
    if LEADERS:
        c.SharedPasswordAuthenticator.admin_password = os.environ["COURSE_LEADER_PASSWORD"]

# The server of the course. The hub starts it, restarts it, and tells it how to be asked.
command = ["-m", "helpers", "serve", "--host", ADDRESS, "--port", PORT, "--allow-host", NAME]
c.JupyterHub.services = [
    {
        "name": SERVICE,
        "url": f"http://{ADDRESS}:{PORT}",
        "command": [PYTHON, *command, "--limits", setting("LIMITS", "jobs=3,tokens=60000")],
        "cwd": str(COURSE),
        "environment": {
            "WORKBOOK_STATE": str(STATE),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(COURSE),
        },
    }
]
# A learner may use the server, and so may the token that a Lab is given. Without the second
# line a Lab's token would be turned away; without the first it could not be given the right.
c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", ACCESS]}]
c.Spawner.server_token_scopes = ["users:activity!user", "access:servers!server", ACCESS]

# Each Lab: the course's own layout, and its kernels' client pointed at the shared server.
c.Spawner.environment = {
    "OPENAI_BASE_URL": f"http://{ADDRESS}:{PORT}/v1",
    "OPENAI_API_KEY": lambda spawner: spawner.api_token,
    "COURSE_ROOT": str(COURSE),
    # A link of nbgitpuller then updates the learner's copy of the course in its place.
    "NBGITPULLER_PARENTPATH": "..",
    # Where the hub's packages are installed apart from the course's; else both are empty.
    "PYTHONPATH": setting("LAB_PYTHONPATH", ""),
    "JUPYTER_CONFIG_PATH": setting("LAB_CONFIG_PATH", ""),
}
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120
c.Spawner.mem_limit = setting("LAB_MEMORY", "1G")
c.Spawner.cpu_limit = float(setting("LAB_CORES", "1"))
c.JupyterHub.concurrent_spawn_limit = int(setting("SPAWN_LIMIT", "5"))

if SPAWNER == "systemd":
    c.JupyterHub.spawner_class = "systemd"
    c.Spawner.cmd = [str(HERE / "start-lab")]
    c.SystemdSpawner.user_workingdir = "/home/{USERNAME}"
    c.SystemdSpawner.isolate_tmp = True
    c.SystemdSpawner.isolate_devices = True
    c.SystemdSpawner.disable_user_sudo = True
    c.SystemdSpawner.readonly_paths = [str(COURSE)]
elif SPAWNER == "docker":
    c.JupyterHub.spawner_class = "docker"
    c.DockerSpawner.image = setting("IMAGE", "course-lab")
    c.DockerSpawner.cmd = [".venv/bin/python", "-m", "helpers.cli.lab"]
    c.DockerSpawner.remove = True
    c.DockerSpawner.hub_connect_url = f"http://{ADDRESS}:{c.JupyterHub.hub_port}"
    c.DockerSpawner.volumes = {
        "course-{username}-notebooks": "/course/my_notebooks",
        "course-{username}-state": "/course/.workbook",
    }
elif SPAWNER == "simple":
    # To try it out: all learners run as the one user who starts the hub, and can read each
    # other's folders. Never for a class.
    c.JupyterHub.spawner_class = "simple"
    c.Spawner.cmd = [str(HERE / "start-lab")]
    c.SimpleLocalProcessSpawner.home_dir_template = str(STATE / "homes" / "{username}")
else:
    sys.exit(f"COURSE_SPAWNER={SPAWNER} is none of systemd, docker, simple")
