"""The real dockerd of the comparisons runs the image: what the other tests here are measured by."""

from __future__ import annotations

import docker

from tests.clients.engines import IMAGE, VERSION, Target


def test_the_real_one_runs_the_image(real: Target) -> None:
    client = docker.DockerClient(base_url=real.host, version=VERSION.removeprefix("v"))
    try:
        said = client.containers.run(
            IMAGE, ["/bin/program", "print", "hi"], network_mode=real.network, remove=True
        )
    finally:
        client.close()
    assert said == b"hi\n"
