"""Secrets from files: a secret that is no environment variable stands in no process list and no `inspect` of a container.

https://docs.docker.com/compose/how-tos/use-secrets/ and https://kubernetes.io/docs/concepts/configuration/secret/ - one file for each secret.
"""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsError

DEFAULT_DIRECTORY = Path("/run/secrets")
"""Where containers have them; it may be missing, while one that is named may not."""
SECRETS = (
    *("database_url", "database_replica_url", "secret_key", "secret_key_previous", "metrics_token"),
    "oidc_client_secret",
)
"""The settings that can be files: what nobody may see, and the addresses of databases, which have passwords in them."""


class SecretFiles(PydanticBaseSettingsSource):
    """The files of SECRETS_DIRECTORY, named like their settings in small letters. White space around a secret and empty files do not count.

    Raises SettingsError when the directory that was named is none, or a file is no text; OSError when one cannot be read.
    """

    def __init__(self, settings: type[BaseSettings], arguments: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        given = arguments.init_kwargs if isinstance(arguments, InitSettingsSource) else {}
        named = given.get("secrets_directory") or os.environ.get("SECRETS_DIRECTORY")
        self._directory = Path(named) if named else DEFAULT_DIRECTORY
        if self._directory != DEFAULT_DIRECTORY and not self._directory.is_dir():
            raise SettingsError(f"SECRETS_DIRECTORY is {named}, and there is no such directory")

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The text of the setting's file, or None."""
        path = self._directory / field_name
        if field_name not in SECRETS or not path.is_file():
            return None, field_name, False
        try:
            return path.read_text("utf-8").strip() or None, field_name, False
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path} is not UTF-8 text") from error

    def __call__(self) -> dict[str, Any]:
        """Setting to text, of the files that are there."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: text for name, text in found.items() if text is not None}
