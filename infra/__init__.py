"""How the real components start: `local` here, `compose.yaml` with Docker, `systemd/` on a server. Not in the wheel."""
