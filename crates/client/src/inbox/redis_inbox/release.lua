-- Gives a claim back, if it is still this worker's. KEYS[1]: the message's key; ARGV: this worker's name.
if redis.call('GET', KEYS[1]) == 'working:' .. ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
