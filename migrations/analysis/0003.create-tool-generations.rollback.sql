drop table tool_generations;
