drop table chats;
