"""What is made in the account by hand, as the operator would: the user that the application runs as."""

from __future__ import annotations

from places import Keys, Places

USER = "millrace-app"


def make_app_user(places: Places, policy: str) -> Keys:
    """A user with Terraform's policy for the application and nothing else."""
    iam = places.client("iam")
    iam.create_user(UserName=USER)
    iam.attach_user_policy(UserName=USER, PolicyArn=policy)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    return Keys(key["AccessKeyId"], key["SecretAccessKey"])


def make_mediaconvert_queue(places: Places, queue: str) -> None:
    """Terraform's queue again: our MediaConvert forgets when it stops, and a run may start from a kept account."""
    places.client("mediaconvert").create_queue(Name=queue.rsplit("/", 1)[1])
