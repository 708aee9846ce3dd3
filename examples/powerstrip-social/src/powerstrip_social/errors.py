"""What can't be done.

Problem
├── BadRequest
│   └── SelfFollow       400: nobody follows oneself
└── Forbidden
    ├── NotYourPost      403: somebody else wrote it
    └── NotAPerson       403: the caller is a program, which has no posts
"""

from powerstrip import BadRequest, Forbidden


class SelfFollow(BadRequest):
    message = "Nobody can follow oneself."


class NotYourPost(Forbidden):
    message = "Only its author can delete a post, or who may moderate."


class NotAPerson(Forbidden):
    message = "Only people with an account have posts and follow others."
