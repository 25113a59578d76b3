"""Which secret Fargate logs in to a registry with, as the configuration says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sockerless_ecs.model import reference as references
from sockerless_ecs.model.beginnings import Beginnings
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.reference import Reference


class PullSecrets:
    """`images.secrets` and `images.keep_credentials`; ECR needs neither, as the execution role is let in."""

    def __init__(
        self, secrets: Mapping[str, str], *, keeps_logins: bool = False, is_ecr: Callable[[str], bool]
    ) -> None:
        self.named: Collection[str] = frozenset(secrets.values())
        """The ARNs that the configuration names: not ours to delete."""
        self._secrets = Beginnings(secrets)
        self._keeps_logins = keeps_logins
        self._is_ecr = is_ecr

    def of(self, image: Image) -> str:
        """The ARN of the secret for where an image is: the configuration's, else the one that was kept."""
        at = references.source_of(image)
        return "" if self._is_ecr(at.registry) else self._configured(at) or image.credentials_arn

    def keeps(self, at: Reference) -> bool:
        """Whether a login that works there is to be kept for Fargate."""
        return self._keeps_logins and not self._is_ecr(at.registry) and not self._configured(at)

    def advice(self, record: Container) -> str:
        """What to check when the image of a container could not be pulled."""
        registry = references.parse(record.image_pull).registry
        if record.credentials_arn:
            return (
                f"Check that the secret {record.credentials_arn} has a username and password that {registry} "
                "takes, and that the execution role may read it"
            )
        if self._is_ecr(registry):
            return f"Check that the execution role may pull from {registry}"
        keep = "pull it" if self._keeps_logins else "set images.keep_credentials and pull it"
        return (
            f"If {registry} wants a login for this image: name a secret that has one in images.secrets, or "
            f"{keep} with that login"
        )

    def _configured(self, at: Reference) -> str:
        rule = self._secrets.longest(at.name)
        return rule[1] if rule else ""
