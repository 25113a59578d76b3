"""ECR's API over the sandbox's registry: repositories and the token to push with."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sockerless_ecs.sandbox.wire.call import ACCOUNT, AwsError

_TOKEN_SECONDS = 12 * 3600
_PAGE = 100


class Ecr:
    """Repositories by name. Their images are the registry's business."""

    def __init__(self, region: str, registry: str) -> None:
        self._region = region
        self._registry = registry
        self._repositories: dict[str, dict[str, Any]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._policies: dict[str, str] = {}
        self._password = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateRepository": self._create,
            "DescribeRepositories": self._describe,
            "DeleteRepository": self._delete,
            "GetAuthorizationToken": self._token,
            "PutLifecyclePolicy": self._put_policy,
            "TagResource": self._tag,
            "ListTagsForResource": self._list_tags,
        }

    def _create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["repositoryName"]
        with self._lock:
            if name in self._repositories:
                raise AwsError(
                    "RepositoryAlreadyExistsException",
                    f"The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'",
                )
            arn = f"arn:aws:ecr:{self._region}:{ACCOUNT}:repository/{name}"
            repository = self._repositories[name] = {
                "repositoryArn": arn,
                "registryId": ACCOUNT,
                "repositoryName": name,
                "repositoryUri": f"{self._registry}/{name}",
                "createdAt": time.time(),
                "imageTagMutability": params.get("imageTagMutability", "MUTABLE"),
                "imageScanningConfiguration": params.get("imageScanningConfiguration", {"scanOnPush": False}),
                "encryptionConfiguration": params.get(
                    "encryptionConfiguration", {"encryptionType": "AES256"}
                ),
            }
            self._tags[arn] = {tag["Key"]: tag["Value"] for tag in params.get("tags", ())}
        return {"repository": repository}

    def _describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        names = params.get("repositoryNames")
        with self._lock:
            found = [self._repository(name) for name in names or sorted(self._repositories)]
        start, size = int(params.get("nextToken") or 0), params.get("maxResults", _PAGE)
        if names:
            return {"repositories": found}
        answer: dict[str, Any] = {"repositories": found[start : start + size]}
        return answer | {"nextToken": str(start + size)} if start + size < len(found) else answer

    def _delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            repository = self._repository(params["repositoryName"])
            del self._repositories[params["repositoryName"]]
        return {"repository": repository}

    def _token(self, _params: Mapping[str, Any]) -> dict[str, Any]:
        token = base64.b64encode(f"AWS:{self._password}".encode()).decode()
        return {
            "authorizationData": [
                {
                    "authorizationToken": token,
                    "expiresAt": time.time() + _TOKEN_SECONDS,
                    "proxyEndpoint": f"http://{self._registry}",
                }
            ]
        }

    def _put_policy(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name, text = params["repositoryName"], params["lifecyclePolicyText"]
        with self._lock:
            self._repository(name)
            self._policies[name] = text
        return {"registryId": ACCOUNT, "repositoryName": name, "lifecyclePolicyText": text}

    def _tag(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._tags_of(params).update({tag["Key"]: tag["Value"] for tag in params["tags"]})
        return {}

    def _list_tags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            return {"tags": [{"Key": key, "Value": value} for key, value in self._tags_of(params).items()]}

    def _tags_of(self, params: Mapping[str, Any]) -> dict[str, str]:
        return self._tags[
            self._repository(params["resourceArn"].partition(":repository/")[2])["repositoryArn"]
        ]

    def _repository(self, name: str) -> dict[str, Any]:
        if name not in self._repositories:
            raise AwsError(
                "RepositoryNotFoundException",
                f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'",
            )
        return self._repositories[name]
