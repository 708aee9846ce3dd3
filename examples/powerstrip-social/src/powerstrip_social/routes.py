"""What the plugin answers."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from sqlalchemy.exc import IntegrityError

from powerstrip import Clock, Identity, NotFound, RateLimit, current_identity, public, responses, service
from powerstrip_database import ReadSession, WriteSession, constraint_of
from powerstrip_social import storage
from powerstrip_social.domain import MODERATE
from powerstrip_social.errors import NotAPerson, NotYourPost, SelfFollow
from powerstrip_social.models import Post
from powerstrip_social.schemas import Author, Before, Limit, NewPost, PageOfPosts, PostOut

router = APIRouter(tags=["social"])

Caller = Annotated[Identity, Depends(current_identity)]
TheClock = Annotated[Clock, Depends(service(Clock))]


async def caller_id(caller: Caller) -> UUID:
    """Who asks, as an id of users; programs with API keys have others."""
    try:
        return UUID(caller.id)
    except ValueError:
        raise NotAPerson from None


Person = Annotated[UUID, Depends(caller_id)]


@router.get("/posts", summary="List posts", dependencies=[Depends(public)])
async def list_posts(
    session: ReadSession, author: Author = None, before: Before = None, limit: Limit = 20
) -> PageOfPosts:
    """Everybody's posts, or one person's, the newest first."""
    return _page(await storage.posts(session, author, before, limit + 1), limit)


@router.get("/posts/feed", summary="Read the own feed", responses=responses(NotAPerson))
async def read_feed(session: ReadSession, person: Person, before: Before = None, limit: Limit = 20) -> PageOfPosts:
    """What those wrote whom the caller follows, the newest first."""
    return _page(await storage.posts_for(session, person, before, limit + 1), limit)


@router.post(
    "/posts",
    status_code=201,
    summary="Write a post",
    dependencies=[Depends(RateLimit("60/hour"))],
    responses=responses(NotAPerson),
)
async def write_post(post: NewPost, session: WriteSession, person: Person, clock: TheClock) -> PostOut:
    """Say something to everybody, and to those who follow the caller in their feeds."""
    written = Post(author_id=person, text=post.text, written_at=clock.now())
    session.add(written)
    await session.flush()
    return PostOut.model_validate(written)


@router.get("/posts/{post_id}", summary="Read a post", dependencies=[Depends(public)], responses=responses(NotFound))
async def read_post(post_id: UUID, session: ReadSession) -> PostOut:
    """One post, as everybody sees it."""
    post = await session.get(Post, post_id)
    if post is None:
        raise NotFound
    return PostOut.model_validate(post)


@router.delete("/posts/{post_id}", status_code=204, summary="Delete a post", responses=responses(NotYourPost, NotFound))
async def delete_post(post_id: UUID, session: WriteSession, caller: Caller) -> None:
    """Delete a post: one's own, or any with the permission `social:moderate`."""
    post = await session.get(Post, post_id)
    if post is None:
        raise NotFound
    if str(post.author_id) != caller.id and not caller.may(MODERATE):
        raise NotYourPost
    await session.delete(post)


@router.put(
    "/follows/{user_id}", status_code=204, summary="Follow somebody", responses=responses(SelfFollow, NotAPerson)
)
async def follow(user_id: UUID, session: WriteSession, person: Person, clock: TheClock) -> None:
    """Follow somebody. Ids that nobody has are answered alike: whether somebody has an account is not told here."""
    try:
        await storage.add_follow(session, person, user_id, clock.now())
    except IntegrityError as error:
        if constraint_of(error) == "ck_social_follows_not_oneself":
            raise SelfFollow from error
        raise


@router.delete(
    "/follows/{user_id}", status_code=204, summary="Follow somebody no longer", responses=responses(NotAPerson)
)
async def unfollow(user_id: UUID, session: WriteSession, person: Person) -> None:
    """Leave what somebody writes out of the own feed; that it is out already is fine."""
    await storage.remove_follow(session, person, user_id)


def _page(posts: Sequence[Post], limit: int) -> PageOfPosts:
    """A page of at most `limit` posts; one more than that says that there is another page."""
    items = [PostOut.model_validate(post) for post in posts[:limit]]
    return PageOfPosts(items=items, next=items[-1].id if len(posts) > limit else None)
