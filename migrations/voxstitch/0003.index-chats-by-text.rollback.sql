drop index chats_title_content_idx;

drop function chat_words(text, jsonb);
