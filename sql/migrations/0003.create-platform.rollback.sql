-- Users and tokens are not events: they are gone for good.
DROP TABLE platform.tokens CASCADE;
DROP TABLE platform.memberships CASCADE;
DROP TABLE platform.organizations CASCADE;
DROP TABLE platform.users CASCADE;
