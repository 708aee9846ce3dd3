"""What an operator can set. Times are in seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, field_validator, model_validator

from powerstrip import Finding, PluginSettings
from powerstrip_users.addresses import one_address
from powerstrip_users.domain import Role

Key = Annotated[SecretStr, Field(min_length=32)]
Domain = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[^\s@/]+\.[^\s@/]+$")]
PermissionName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9_-]+:(\*|[a-z0-9_:-]+))$")]
LinkAddress = Annotated[str, StringConstraints(pattern=r"^https?://\S*\{token\}\S*$")]

# The least of OWASP's Argon2id settings in memory times passes; `check --strict` warns below it.
_LEAST_WORK = 19_456 * 2


class PasswordSettings(PluginSettings):
    """How passwords are stored (Argon2id, RFC 9106), and how many may be checked at once."""

    memory_kib: Annotated[int, Field(ge=8, le=4_194_304)] = 65_536
    """Memory that one check takes, in KiB."""

    iterations: Annotated[int, Field(ge=1, le=100)] = 3
    """Passes over that memory."""

    parallelism: Annotated[int, Field(ge=1, le=16)] = 1
    """Threads of one check."""

    threads: Annotated[int, Field(ge=1, le=64)] | None = None
    """Checks at once; one per processor, at most 4, when not stated. Each takes `memory_kib`."""

    queue: Annotated[int, Field(ge=0, le=10_000)] = 64
    """Checks that may wait for a thread. More are answered 503 with `Retry-After`."""

    @model_validator(mode="after")
    def _memory_suits_threads(self) -> Self:
        # RFC 9106, 3.1: at least 8 blocks of 1 KiB for each lane.
        if self.memory_kib < 8 * self.parallelism:
            raise ValueError("memory_kib must be at least 8 times parallelism")
        return self

    @property
    def is_weak(self) -> bool:
        """Whether a check costs an attacker less than OWASP's password storage cheat sheet asks for."""
        return self.memory_kib * self.iterations < _LEAST_WORK


class SignInSettings(PluginSettings):
    """What repeated failures lead to: a lock that doubles with each failure above the limit."""

    account_failures: Annotated[int, Field(ge=1, le=1_000)] = 5
    """Failures under one name before it is locked for a second, then two, four, ..."""

    client_failures: Annotated[int, Field(ge=1, le=100_000)] = 50
    """Failures from one address (one /64 of IPv6) before it is. Where a proxy stands in front, tell `edge` to
    believe it: otherwise all clients share the proxy's address."""

    window: Annotated[int, Field(ge=1, le=86_400)] = 900
    """Failures this long ago are forgotten."""

    longest_lock: Annotated[int, Field(ge=1, le=86_400)] = 900
    """The longest that a name or an address is locked."""


class LinkSettings(PluginSettings):
    """The links in mails. They lead to a page of yours, which sends the token on to the API."""

    verify_url: LinkAddress | None = None
    """Page that confirms an address: `https://app.example.com/verify?token={token}`. Mails show the bare token
    when not stated."""

    reset_url: LinkAddress | None = None
    """Page that sets a new password, likewise."""

    verify_lifetime: Annotated[int, Field(ge=60, le=2_592_000)] = 259_200
    """How long an address can be confirmed."""

    reset_lifetime: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    """How long a password can be reset."""


class TokenSettings(PluginSettings):
    """Access tokens and sessions."""

    issuer: Annotated[str, Field(min_length=1)] = "powerstrip"
    """Who issues access tokens (`iss`): different for each deployment that shares a key."""

    audience: Annotated[str, Field(min_length=1)] = "powerstrip"
    """Who they are for (`aud`)."""

    access_lifetime: Annotated[int, Field(ge=30, le=3_600)] = 900
    """How long an access token is valid."""

    session_idle: Annotated[int, Field(ge=60, le=31_536_000)] = 1_209_600
    """A session that isn't refreshed for this long ends."""

    session_lifetime: Annotated[int, Field(ge=60, le=31_536_000)] = 7_776_000
    """A session ends after this time, refreshed or not."""

    refresh_grace: Annotated[float, Field(ge=0, le=60)] = 10.0
    """A refresh token that was just used gives the same successor again, for tabs that refresh at the same moment.
    After that its use ends the session: somebody has a copy."""

    max_sessions: Annotated[int, Field(ge=1, le=1_000)] = 50
    """Sessions of one account; another sign-in ends the oldest."""

    revocation_interval: Annotated[float, Field(ge=0.05, le=10)] = 2.0
    """How often revoked sessions and changed roles are read: they take effect within this time in every process,
    at once in the one that made the change."""

    recent_sign_in: Annotated[int, Field(ge=60)] = 3_600
    """How long ago the sign-in may be when a user changes the own e-mail address."""


class SmtpSettings(PluginSettings):
    """The server that takes mails."""

    host: Annotated[str, Field(min_length=1)]
    """Its name, which its certificate has to be for."""

    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """587 with `starttls`, 465 with `tls`, 25 with `none` when not stated."""

    security: Literal["starttls", "tls", "none"] = "starttls"
    """Encrypted after a greeting in the clear, from the first byte, or not at all. A server that can't do what is
    stated here gets no mail."""

    ca_file: Path | None = None
    """Certificates to trust instead of those the system trusts."""

    username: Annotated[str, Field(min_length=1)] | None = None
    """Name to sign in with; no sign-in when not stated."""

    password: SecretStr | None = None
    """Password to sign in with."""

    @model_validator(mode="after")
    def _keeps_the_password(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: state both or neither")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is not sent in the clear: set security to starttls or tls")
        return self


class MailSettings(PluginSettings):
    """Mails: what they look like, and how they leave."""

    transport: Literal["console", "file", "smtp"] = "file"
    """Where mails go: `smtp` sends them, `file` writes each into `folder`, `console` prints them. Those two are for
    development: mails hold links that open accounts."""

    folder: Path = Path("data/mail")
    """Where the transport `file` writes them."""

    smtp: SmtpSettings | None = None
    """The server of the transport `smtp`."""

    sender: Annotated[str, AfterValidator(one_address)] = "Powerstrip <no-reply@localhost>"
    """Whom mails come from: `My Site <no-reply@example.com>`. Its domain is that of the message ids."""

    site: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)] = "Powerstrip"
    """What mails call you."""

    templates: Path | None = None
    """Folder with texts of your own, `welcome.txt` and the like, and `welcome.html` for a second form in HTML."""

    concurrency: Annotated[int, Field(ge=1, le=50)] = 4
    """Mails that each process sends at once."""

    poll_interval: Annotated[float, Field(ge=0.05, le=300)] = 5.0
    """How often each process looks for mails that others queued or that have to be tried again. What it queued
    itself is sent at once."""

    timeout: Annotated[float, Field(ge=0.1, le=300)] = 30.0
    """How long sending a mail may take."""

    lease: Annotated[float, Field(ge=0.2, le=3_600)] = 120.0
    """How long a mail belongs to the process that sends it: if that crashes, another one sends it after this time."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 20
    """How often a mail is tried before it is abandoned. With the default delays that takes about half a day."""

    first_delay: Annotated[float, Field(ge=0.01, le=3_600)] = 30.0
    """The wait after the first failure; it doubles with each."""

    longest_delay: Annotated[float, Field(ge=0.01, le=86_400)] = 3_600.0
    """The longest wait between two attempts."""

    late_after: Annotated[int, Field(ge=1)] = 1_800
    """When the oldest mail has waited this long, the health check `mail` fails."""

    keep: Annotated[int, Field(ge=0)] = 2_592_000
    """How long to remember that a mail was sent or abandoned. What was in it is forgotten once it is sent."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.transport == "smtp" and self.smtp is None:
            raise ValueError("the transport smtp needs a server: state smtp.host")
        if self.lease <= self.timeout:
            raise ValueError("lease must be longer than timeout: else a mail that is being sent is sent again")
        return self


class BucketSettings(PluginSettings):
    """A bucket of S3, or of a server that speaks its protocol."""

    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    """Its name."""

    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]*$")] = ""
    """What the names of the files in it begin with."""

    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """Address of a server that is not Amazon's: `https://minio.example.com`."""

    region: str | None = None
    """Where the bucket is: `eu-central-1`."""

    access_key_id: str | None = None
    """Who asks. When not stated, that and the secret come from the environment (`AWS_ACCESS_KEY_ID`), or from the
    role of the machine."""

    secret_access_key: SecretStr | None = None
    """The secret that belongs to it."""

    timeout: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    """How long the server may take to answer."""

    @property
    def is_in_the_clear(self) -> bool:
        """Whether requests go over the network unencrypted."""
        return (self.endpoint or "").startswith("http://")

    @model_validator(mode="after")
    def _key_and_secret(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key belong together: state both or neither")
        return self


class AvatarSettings(PluginSettings):
    """Pictures of users."""

    folder: Path = Path("data/avatars")
    """Where they are kept: a folder that all machines share, if there are several."""

    s3: BucketSettings | None = None
    """The bucket where they are kept instead. It needs `pip install 'powerstrip-users[s3]'`."""

    visibility: Literal["public", "signed-in"] = "public"
    """Who may see them."""

    max_bytes: Annotated[int, Field(ge=1_024, le=52_428_800)] = 5_242_880
    """The largest file that may be sent."""

    max_pixels: Annotated[int, Field(ge=1, le=80_000_000)] = 25_000_000
    """The most pixels that a picture may have: it takes four bytes of memory for each while it is read."""

    edge: Annotated[int, Field(ge=16, le=2_048)] = 512
    """Width and height that pictures are made to fit in, in pixels."""

    uploads: Annotated[int, Field(ge=1, le=1_000)] = 8
    """Pictures that each process receives at once. More are answered 503 with `Retry-After`."""

    upload_timeout: Annotated[float, Field(ge=0.1, le=600)] = 30.0
    """How long sending one may take."""

    threads: Annotated[int, Field(ge=1, le=16)] = 2
    """Pictures that each process decodes at once."""

    max_age: Annotated[int, Field(ge=0, le=31_536_000)] = 300
    """How long browsers may show one before they ask whether it has changed."""


class UsersSettings(PluginSettings):
    """Settings of the plugin `users`."""

    secret_key: Key | None = None
    """Signs tokens: 32 characters or more, the same in every process. When not stated, one is made in `key_file`
    and kept."""

    retired_keys: tuple[Key, ...] = ()
    """Keys that were `secret_key` before: what they signed stays valid until it expires, nothing new is signed."""

    key_file: Path = Path("data/users.key")
    """Where the key is kept that is made when `secret_key` is not stated."""

    blocked_domains: tuple[Domain, ...] = ("tempmail.com", "10minutemail.com")
    """Domains, subdomains included, whose addresses are refused."""

    verification_required: bool = False
    """New accounts stay `pending` until their address is confirmed."""

    roles: Mapping[Role, tuple[PermissionName, ...]] = Field(default_factory=dict)
    """Permissions of each role: `moderator: [users:read]`, with `users:*` for all of a group. Admins have all."""

    idempotency_lifetime: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    """How long the answer to a request with an `Idempotency-Key` is kept for its repetition."""

    tokens: TokenSettings = TokenSettings()
    """How long access tokens and sessions live."""

    passwords: PasswordSettings = PasswordSettings()
    """How passwords are stored."""

    sign_in: SignInSettings = SignInSettings()
    """What repeated failures to sign in lead to."""

    links: LinkSettings = LinkSettings()
    """The links in mails."""

    mail: MailSettings = MailSettings()
    """How mails look, and how they leave."""

    avatars: AvatarSettings = AvatarSettings()
    """How pictures of users are received, kept and shown."""

    def findings(self) -> list[Finding]:
        """What works and is not fit for production."""
        found = []
        if self.secret_key is None:
            message = f"the key that signs tokens is made by Powerstrip and kept in {self.key_file}"
            hint = "state users.secret_key: one for all machines, from ${file:...} or the environment"
            found.append(Finding("users.no-secret-key", message, hint))
        if self.passwords.is_weak:
            message = "the hashing of passwords is too cheap to withstand an attacker"
            hint = "leave users.passwords.memory_kib and iterations at their defaults"
            found.append(Finding("users.weak-hashing", message, hint))
        if self.mail.transport != "smtp":
            message = f"mails are not sent: they go to the {self.mail.transport}"
            hint = "set users.mail.transport to smtp and state users.mail.smtp.host"
            found.append(Finding("users.mail-not-sent", message, hint))
        return found

    @field_validator("retired_keys")
    @classmethod
    def _few(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len(keys) > 10:
            raise ValueError("at most 10 retired keys: drop those whose sessions have ended")
        return keys
